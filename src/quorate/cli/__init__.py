"""The front door: parse, wire, exit code; one file per verb."""
