"""YAML and the other data formats: what an independent parser reads is what went in."""

import math
import tomllib
from io import StringIO
from typing import Any

import pytest
from hostile import hostile
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from quorate.render import flags, toml, yaml

SCALARS = st.one_of(
    hostile(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hostile(), inner, max_size=4),
    max_leaves=12,
)
TABLES = st.dictionaries(
    hostile(),
    st.recursive(
        SCALARS | st.lists(SCALARS, max_size=3),
        lambda inner: (
            st.dictionaries(hostile(), inner, max_size=3)
            | st.lists(st.dictionaries(hostile(), inner, max_size=3), max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def read(text: str, version: str) -> Any:
    parser = YAML(typ="safe", pure=True)
    parser.version = version
    return parser.load(StringIO(text))


def same(left: object, right: object) -> bool:
    """Equal in value and in type."""
    return repr(left) == repr(right)


def test_yaml_golden() -> None:
    value = {
        "kind": "ConfigMap",
        "data": {"Corefile": ".:53 {\n  errors\n}\n", "odd": "no\nend"},
        "args": ["--a=b", "1.30", True, None, 1, 1.5, "yes", [], {}, [1, {"b": "c", "d": ["e"]}]],
        "image": "docker.io/library/busybox:1.36",
    }
    assert yaml.dump(value) == (
        "kind: ConfigMap\n"
        "data:\n  Corefile: |\n    .:53 {\n      errors\n    }\n  odd: \"no\\nend\"\n"
        "args:\n- \"--a=b\"\n- \"1.30\"\n- true\n- null\n- 1\n- 1.5\n- \"yes\"\n- []\n- {}\n"
        "- - 1\n  - b: c\n    d:\n    - e\n"
        "image: docker.io/library/busybox:1.36\n"
    )  # fmt: skip
    assert yaml.dump_all([{"a": 1}, {"b": 2}]) == "a: 1\n---\nb: 2\n"


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@given(VALUES)
def test_yaml_arrives(version: str, value: object) -> None:
    assert same(read(f"%YAML {version}\n---\n{yaml.dump(value)}", version), value)


@given(st.lists(VALUES, max_size=3))
def test_yaml_documents_arrive(values: list[object]) -> None:
    assert same(list(YAML(typ="safe", pure=True).load_all(StringIO(yaml.dump_all(values)))), values)


@pytest.mark.parametrize("text", ["y", "Yes", "ON", "~", "null", "012", "1:30", "1e3", ".inf", "2020-01-01", "<<", "="])
def test_yaml_strings_stay_strings(text: str) -> None:
    assert yaml.dump(text).startswith('"')


@pytest.mark.parametrize("bad", [math.nan, math.inf, {1: "a"}, {"k" * 1001: 1}, object(), b"x", {"a": {1, 2}}])
def test_yaml_refuses(bad: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        yaml.dump(bad)


def test_toml_golden() -> None:
    value = {
        "version": 2,
        "plugins": {"io.containerd.grpc.v1.cri": {"sandbox": 'a"b', "on": True, "runc": {"x": [1, 2]}}},
        "list": [{"a": "b"}],
    }
    assert toml.dump(value) == (
        'version = 2\n\n[plugins]\n\n[plugins."io.containerd.grpc.v1.cri"]\nsandbox = "a\\"b"\non = true\n\n'
        '[plugins."io.containerd.grpc.v1.cri".runc]\nx = [1, 2]\n\n[[list]]\na = "b"\n'
    )


@given(TABLES)
def test_toml_arrives(table: dict[str, object]) -> None:
    assert same(_sorted(tomllib.loads(toml.dump(table))), _sorted(table))


def _sorted(value: object) -> object:
    """Mappings in one order; TOML puts the values before the tables."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("bad", [None, math.nan, 2**63, [{}, 1], object()])
def test_toml_refuses(bad: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        toml.dump({"a": bad})


def test_flags() -> None:
    given_flags: dict[str, flags.Flag] = {
        "a": "x",
        "b": True,
        "c": 3,
        "d": ["p", "q"],
        "e": {"G": False, "H": True},
        "f": None,
    }
    assert flags.flags(given_flags, {"a": "y"}) == ["--a=y", "--b=true", "--c=3", "--d=p,q", "--e=G=false,H=true"]


@given(hostile(), hostile())
def test_flags_arrive_or_are_refused(name: str, value: str) -> None:
    try:
        (line,) = flags.flags({name: [value]})
    except ValueError:
        return
    assert line == f"--{name}={value}"
    assert name.replace("-", "").isalnum()
    assert "," not in value
    assert "\0" not in value
