"""The house rules that a tool can check: names, docstrings, the table of contents, how scripts are made."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from sh_texts import sh_of

from quorate.component import COMPONENTS

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src/quorate").rglob("*.py"))
VERBS = ROOT / "src/quorate/cli/verbs"
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SHARED = {
    "clock",
    "command",
    "context",
    "turns",
    "keeper",
    "hostports",
    "links",
    "etcd_disk",
    "etcd_restore",
    "folder_disk",
    "service",
    "firewall",
    "membership",
    "policy",
    "upgrades",
}
"""Modules of `component` that are no part of the cluster: what parts are made with."""
LONGEST = 10
"""Lines of sh that may stand beside what uses them."""
EMPTY_WORDS = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc", "lib", "tools"}
QUOTING = {"quote", "sh", "heredoc", "kubectl", "etcdctl"}
"""Calls whose result may stand in a script."""

LATE = {
    ("artifact/fetch.py", "httpx2"): "what is in the cache is not fetched",
    ("backup/ssh_place.py", "asyncssh"): "few clusters have a place behind SSH",
    ("cli/main.py", "importlib.metadata"): "nothing but --version needs it",
    ("execute/named_files.py", "httpx2"): "few clusters name a manifest by its URL",
    ("transport/ssh.py", "quorate.transport.connect"): "it brings asyncssh, which a wrong cluster file does not need",
    ("transport/ssh.py", "quorate.transport.forward"): "asyncssh",
    ("transport/ssh.py", "quorate.transport.keyring"): "asyncssh",
    ("transport/ssh.py", "quorate.transport.link"): "asyncssh",
    ("transport/ssh.py", "quorate.transport.session"): "asyncssh",
}
"""Imports inside functions, and why they are not at the top: they take long, and a common way does without.

Those of `cli/verbs` are not here: its first lines say why.
"""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said, "no docstring"
    assert len(said.splitlines()[0]) > 10


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=name)
def test_no_room_is_called_nothing(path: Path) -> None:
    assert not EMPTY_WORDS & set(path.relative_to(ROOT).with_suffix("").parts)


def _imports(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_imports_are_at_the_top_or_have_a_reason() -> None:
    found = set()
    for path in SOURCES:
        if path.parent == VERBS:
            continue
        for node in [node for function in _functions(path) for node in _imports(function)]:
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            found |= {(str(path.relative_to(ROOT / "src/quorate")), module) for module in modules}
    assert found == set(LATE)


@pytest.mark.parametrize("path", sorted(VERBS.glob("*.py")), ids=name)
def test_a_verb_imports_its_work_in_its_first_lines(path: Path) -> None:
    tops = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
    light = {"quorate.core", "quorate.cli.verbs.options"}
    assert {node.module for node in tops if str(node.module).startswith("quorate.")} <= light
    for function in _functions(path):
        lines = [node for node in function.body if not isinstance(node, ast.Expr)]
        imports = _imports(function)
        assert lines[: len(imports)] == imports, function.name


def test_every_part_is_in_the_table_of_contents() -> None:
    folder = {path.stem for path in (ROOT / "src/quorate/component").glob("*.py")} - {"__init__"} - SHARED
    listed = [component.__name__.rpartition(".")[2] for component in COMPONENTS]  # type: ignore[attr-defined]
    assert set(listed) == folder
    assert len(listed) == len(folder)


def test_parts_name_what_they_come_after() -> None:
    names = {component.NAME for component in COMPONENTS}
    for component in COMPONENTS:
        assert {*component.AFTER, *component.MEETS} <= names - {component.NAME}


def test_the_independence_contract_names_every_part() -> None:
    contract = (ROOT / "pyproject.toml").read_text()
    for room, shared in (
        ("component", {"__init__", *SHARED}),
        ("resource", {"__init__", "ask", "resource"}),
    ):
        for path in (ROOT / f"src/quorate/{room}").glob("*.py"):
            if path.stem not in shared:
                assert f'"quorate.{room}.{path.stem}",' in contract


def _loose(node: ast.expr, strings: set[str], fine: set[str]) -> list[str]:
    """What a text takes in without quoting, of the texts that come from outside."""
    found = []
    for part in ast.walk(node):
        if isinstance(part, ast.FormattedValue):
            value = part.value
            if isinstance(value, ast.Attribute) and value.attr in strings and ast.unparse(value) not in fine:
                found.append(ast.unparse(value))
    return found


def _texts(tree: ast.ClassDef) -> set[str]:
    """The fields of a resource that hold text or sequences of it."""
    return {
        line.target.id
        for line in tree.body
        if isinstance(line, ast.AnnAssign)
        and isinstance(line.target, ast.Name)
        and "str" in ast.unparse(line.annotation)
    }


ARE_SCRIPTS = {"self.check", "self.evidence", "self.script", "self.run", "self.trial", "self.undo"}
"""Fields that are sh themselves, made by components with `quote`."""
ARE_TOKENS = {"self.mode"}
"""Set by components, never from the cluster file."""


@pytest.mark.parametrize("path", sorted((ROOT / "src/quorate/resource").glob("*.py")), ids=name)
def test_resources_quote_what_enters_a_script(path: Path) -> None:
    """In methods that make scripts, a text field stands in an f-string only inside a quoting call."""
    for resource in [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]:
        for method in resource.body:
            if isinstance(method, ast.FunctionDef) and method.name in ("probe", "converge", "remove"):
                quoted = {
                    id(inner)
                    for call in ast.walk(method)
                    if isinstance(call, ast.Call) and ast.unparse(call.func) in QUOTING
                    for inner in ast.walk(call)
                }
                outside = [n for n in ast.walk(method) if isinstance(n, ast.JoinedStr) and id(n) not in quoted]
                loose = {
                    text
                    for node in outside
                    for text in _loose(node, _texts(resource), ARE_SCRIPTS | ARE_TOKENS)
                    if not re.fullmatch(r"self\.\w+\(\)", text)
                }
                assert not loose, f"{resource.name}.{method.name} takes {loose} unquoted"


def test_long_sh_is_a_text_of_render() -> None:
    """What has more lines than that, in one string or in all of a function, stands where scripts are looked for."""
    outside = [path for path in SOURCES if path.relative_to(ROOT / "src/quorate").parts[0] != "render"]
    found = [(path, sh) for path in outside for sh in sh_of(path.read_text()) if sh.lines > LONGEST]
    assert not found, "\n".join(f"{name(path)}:{sh.line} {sh.name} has {sh.lines} lines of sh" for path, sh in found)


LONG = "\n".join(f"step {number} || exit 1" for number in range(11))


@pytest.mark.parametrize(
    "source",
    [
        f'TEXT = """{LONG}"""',
        f'def f(x):\n    return f"""{LONG} {{x}}"""',
        f'class C:\n    def f(self):\n        """Says."""\n        return [{", ".join(map(repr, LONG.splitlines()))}]',
        f"async def f():\n    def g():\n        return {LONG!r}\n    return g",
    ],
)
def test_long_sh_is_found(source: str) -> None:
    (found,) = sh_of(source)
    assert found.lines == 11


def test_other_texts_are_no_sh() -> None:
    css = "\n".join(["*{box-sizing:border-box}", "h1{font-size:2em;margin:0}"] * 6)
    words = "\n".join(["What is done is done, and then some.", "  port: 6443  # of $ no use"] * 6)
    assert not [*sh_of(f'"""A docstring:\n{LONG}"""\nCSS = """{css}"""\nWORDS = """{words}"""')]


def test_no_mirror_of_ours_is_named() -> None:
    """Where packages come from is the affair of the machine: no index or mirror stands in the repository."""
    words = re.compile(r"(index-url|find-links|trusted-host|mirrors?\.(aliyun|tuna|ustc|163|tencent|huawei)|/opt/pypi)")
    files = [ROOT / "requirements.txt", ROOT / "Makefile", ROOT / "pyproject.toml"]
    files += [*(ROOT / ".ci").iterdir(), *SOURCES, *(ROOT / "examples").glob("*.yaml")]
    for path in files:
        assert not words.search(path.read_text()), f"{name(path)} names one"


def test_requirements_are_pinned_with_digests() -> None:
    text = (ROOT / "requirements.txt").read_text()
    assert "http://" not in text
    assert "https://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", entry), entry[:60]


def test_every_module_can_be_imported_alone() -> None:
    for path in SOURCES:
        if path.stem == "__main__":
            continue
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
        importlib.import_module(".".join(parts).removesuffix(".__init__"))
