"""The documents say what is true: links, commands, flags, numbers, cluster files, and both languages alike."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from quorate.cli import main as cli
from quorate.spec.load import load
from quorate.spec.versions import supported, table
from quorate.verify.catalog import CHECKS

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = (ENGLISH, CHINESE, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
PICTURES = sorted(path for path in (ROOT / "docs/images").iterdir() if path.suffix in (".svg", ".png"))
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[\s`/])quorate ((?:[a-z-]|\./|--?[a-z])[^`\n#|>;]*)")
FILES = re.compile(r"[\[\s](\S+\.tar|sudo-password|bundle|\S+_ed25519|\S+/my-cni\.yaml)\b")
"""Files that cluster files in the documents name: they must exist for the loader."""
INVISIBLE = {"--svg"}
"""Flags that `--help` does not show."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """The text without its code blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def blocks(path: Path) -> list[tuple[str, str]]:
    return FENCE.findall(path.read_text(encoding="utf-8"))


def headings(path: Path) -> list[tuple[int, str]]:
    return [(len(level), text) for level, text in re.findall(r"^(#+) (.+)$", prose(path), re.MULTILINE)]


def anchors(path: Path) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in headings(path)}


def test_both_readmes_have_one_structure() -> None:
    assert [level for level, _ in headings(ENGLISH)] == [level for level, _ in headings(CHINESE)]
    assert blocks(ENGLISH) == blocks(CHINESE)
    assert [place for _, place in PICTURE.findall(prose(ENGLISH))] == [
        place for _, place in PICTURE.findall(prose(CHINESE))
    ]


def test_both_readmes_list_the_same_section_by_section() -> None:
    def shape(path: Path) -> list[tuple[int, int, tuple[int, ...]]]:
        parts = re.split(r"^#+ .+$", prose(path), flags=re.MULTILINE)
        return [
            (
                len(re.findall(r"^- ", part, re.MULTILINE)),
                len(LINK.findall(part)),
                tuple(line.count("|") for line in part.splitlines() if line.startswith("|")),
            )
            for part in parts
        ]

    assert shape(ENGLISH) == shape(CHINESE)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        assert place.is_relative_to(ROOT), target
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pictures_are_described(page: Path) -> None:
    for text, place in PICTURE.findall(prose(page)):
        assert len(text) > 5, place


def test_every_picture_is_shown() -> None:
    shown = {(page.parent / place).resolve() for page in PAGES for _, place in PICTURE.findall(prose(page))}
    assert shown == set(PICTURES)


@pytest.mark.parametrize("picture", [each for each in PICTURES if each.suffix == ".svg"], ids=name)
def test_a_picture_needs_nothing_from_elsewhere(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    assert "@font-face" not in text
    assert not re.search(r"(?:href|src)=|url\((?!#)", text)
    urls = re.findall(r"https?://[^\s\"'<&]+", text)
    assert {url for url in urls if not re.match(r"http://www\.w3\.org/|https://192\.168\.", url)} == set()
    assert not re.search(r"/(?:root|tmp|home|work)/", text)


@cache
def flags(verbs: tuple[str, ...]) -> frozenset[str]:
    """The flags of a verb, such as ("lab", "up")."""
    command = cli.app
    for verb in verbs:
        command = command[verb]
    arguments = command.assemble_argument_collection()
    return frozenset(word for argument in arguments for word in argument.names if word.startswith("-"))


def commands(page: Path) -> list[str]:
    """What stands behind `quorate` in code, on one line each."""
    text = page.read_text(encoding="utf-8")
    code = [body for language, body in blocks(page) if language == "sh"]
    code += [f"{span}\n" for span in re.findall(r"`([^`\n]+)`", FENCE.sub("", text))]
    return [found.strip() for part in code for found in COMMAND.findall(part)]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    for command in commands(page):
        words = shlex.split(command)
        if words[0] in ("--help", "--version"):
            continue
        verbs = (words[0],)
        assert words[0] in {*cli.VERBS, "lab"}, command
        if words[0] == "lab" and len(words) > 1:
            assert words[1] in cli.LAB, command
            verbs = ("lab", words[1])
        elif words[0] == "lab":
            continue
        elif words[0] == "backup" and words[1:2] and words[1] in cli.BACKUP:
            verbs = ("backup", words[1])
        words = words[: words.index("--")] if "--" in words else words
        for word in words:
            if word.startswith("-"):
                assert word in flags(verbs) | INVISIBLE, command


def test_commands_are_found_at_all() -> None:
    assert {"plan", "apply", "lab up"} <= {command.partition(" -")[0] for command in commands(ROOT / "docs/lab.md")} | {
        command.partition(" ")[0] for command in commands(ENGLISH)
    }


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wanted = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert wanted <= targets


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_cluster_files_load(page: Path, tmp_path: Path) -> None:
    """Whole files as they are; pieces within the smallest whole one."""
    whole = next(body for language, body in blocks(ENGLISH) if language == "yaml")
    for language, body in blocks(page):
        if language != "yaml":
            continue
        file = tmp_path / "cluster.yaml"
        if not body.startswith("name:"):
            given = set(re.findall(r"^([a-z_]+):", body, re.MULTILINE))
            kept = re.split(r"^(?=[a-z_]+:)", whole, flags=re.MULTILINE)
            body = "".join(part for part in kept if part.partition(":")[0] not in given) + body
        if re.search(r"^endpoint:(\n  address:| {local: true})", body, re.MULTILINE):
            body = body.replace(", load-balancer]", "]")
        body = body.replace('"1.36.0"', '"1.23.0"') if "kind: docker" in body else body
        for path in re.findall(
            r"[\[\s](\S+\.tar|sudo-password|ssh-password|bundle|\S+_ed25519|\S+/my-cni\.yaml|site-ca\.pem|(?:registry|proxy|backup)-login|backup-hosts)\b",
            body,
        ):
            place = tmp_path / path.lstrip("[").replace("~/.ssh/", "")
            place.parent.mkdir(exist_ok=True)
            if path == "bundle":
                place.mkdir(exist_ok=True)
                (place / "SHA256SUMS").touch()
                continue
            place.touch(mode=0o600)
            begins = {"_ed25519": "-----BEGIN OPENSSH PRIVATE KEY-----\n", ".pem": "-----BEGIN CERTIFICATE-----\n"}
            key = next((words for end, words in begins.items() if path.endswith(end)), "")
            place.write_text(f"{key}apiVersion: v1\nkind: ConfigMap\n")
        file.write_text(body.replace("~/.ssh/", ""), encoding="utf-8")
        load(file)


@pytest.mark.parametrize("page", [ENGLISH, CHINESE, ROOT / "CHANGELOG.md"], ids=name)
def test_the_number_of_checks_is_true(page: Path) -> None:
    found = re.findall(r"(\d+) (?:checks|项检查)", page.read_text(encoding="utf-8"))
    assert found == [str(len(CHECKS))]


def test_every_check_is_described() -> None:
    rows = re.findall(r"^\| ([\w, -]+) \| ", prose(ROOT / "docs/operations.md"), re.MULTILINE)
    named = {word.strip() for row in rows for word in row.split(",")}
    assert {check.id for check in CHECKS} <= named


def test_the_version_table_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (1\.\d+) \| (.*) \|$", prose(ROOT / "docs/versions.md"), re.MULTILINE)
    wanted = []
    for minor in map(table, supported()):
        images = [image.rpartition(":")[2].removeprefix("v") for image in (minor.pause_image, minor.coredns_image)]
        cells = [minor.etcd, minor.containerd, minor.runc, minor.cni_plugins, minor.docker or "", *images]
        wanted.append((minor.kubernetes, " | ".join(cells)))
    assert rows == wanted


def test_all_weaknesses_are_answered() -> None:
    rows = re.findall(r"^\| (\d+) \| ", prose(ROOT / "docs/security.md"), re.MULTILINE)
    assert rows == [str(number) for number in range(1, 23)]


def test_exit_codes_are_told_alike() -> None:
    told = [
        re.findall(r"^\| (\d+) \| ", prose(ROOT / page), re.MULTILINE)
        for page in ("docs/guide.md", "docs/architecture.md")
    ]
    assert told[0] == told[1]
