"""`python -m quorate`."""

from quorate.cli.main import main

main()
