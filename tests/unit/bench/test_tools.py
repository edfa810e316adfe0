"""What maintainers run by hand is not left behind when names change."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOOLS = [path.stem for folder in ("bench", "versions") for path in sorted((ROOT / folder).glob("*.py"))]


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_finds_what_it_uses(name: str) -> None:
    assert importlib.import_module(name).__doc__
