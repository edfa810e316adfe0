"""Unit files: an independent reading of systemd's syntax gives back what was put in.

The reader follows systemd.syntax(7) and systemd.service(5): continuation lines, quotes and C escapes, specifiers,
variables, and `;` between commands.
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import hostile
from hypothesis import given
from hypothesis import strategies as st

from quorate.render.systemd import Exec, command, unit, value, word

ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t", "s": " "}


def settings(text: str) -> list[tuple[str, str]]:
    """Settings in order, continuation lines joined, comments and sections dropped."""
    found: list[tuple[str, str]] = []
    pending = ""
    for line in text.split("\n"):
        if line.lstrip(" \t").startswith(("#", ";")):
            continue
        joined = pending + line
        slashes = len(joined) - len(joined.rstrip("\\"))
        if slashes % 2:
            pending = joined[:-1] + " "
            continue
        pending = ""
        if "=" in joined and not joined.startswith("["):
            key, _, rest = joined.partition("=")
            found.append((key.strip(" \t"), rest.strip(" \t")))
    return found


def split(text: str) -> list[list[str]]:
    """Commands of an Exec line as words, quotes and escapes undone."""
    commands: list[list[str]] = [[]]
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        if text[at] == ";" and text[at + 1 : at + 2] in ("", " ", "\t"):
            commands.append([])
            at += 1
            continue
        out, quote = "", ""
        while at < len(text) and (quote or text[at] not in " \t"):
            char = text[at]
            if char == "\\":
                out, at = out + ESCAPES[text[at + 1]], at + 2
            elif char == quote:
                quote, at = "", at + 1
            elif char in "\"'" and not quote:
                quote, at = char, at + 1
            else:
                out, at = out + char, at + 1
        assert not quote
        commands[-1].append(out)
    return commands


def expand(text: str, sign: str) -> str:
    """A doubled sign is the sign; a single one would act."""
    assert not re.sub(re.escape(sign * 2), "", text).count(sign)
    return text.replace(sign * 2, sign)


def arguments(line: str) -> list[str]:
    """The one command of an Exec line, as the process gets it."""
    (words,) = split(line)
    return [words[0], *(expand(expand(each, "%"), "$") for each in words[1:])]


def refused(call: Callable[[], str], text: str) -> str | None:
    """The result, or None when a text with control characters was refused."""
    try:
        return call()
    except ValueError:
        assert any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text)
        return None


def test_golden() -> None:
    assert unit(
        name="etcd.service",
        description="etcd member",
        exec_start=["/opt/kubernetes/bin/etcd", "--name=a", "--initial-cluster=a=https://10.0.0.1:2380"],
        type="notify",
        user="etcd",
        environment={"GOGC": "50", "X": "a b"},
        environment_files=["-/run/quorate/etcd.env"],
        exec_reload=['kill -HUP "$MAINPID"'],
        after=["network-online.target"],
        wants=["network-online.target"],
        limit_nofile=65536,
        delegate=True,
        oom_score_adjust=-999,
        extra={"TimeoutStartSec": "5min", "ReadWritePaths": ["/a", "/b"]},
    ) == (
        "[Unit]\nDescription=etcd member\nAfter=network-online.target\nWants=network-online.target\n"
        "StartLimitIntervalSec=0\n\n"
        "[Service]\nType=notify\nUser=etcd\n"
        'Environment="GOGC=50"\nEnvironment="X=a b"\nEnvironmentFile=-/run/quorate/etcd.env\n'
        "UnsetEnvironment=http_proxy HTTP_PROXY https_proxy HTTPS_PROXY ftp_proxy FTP_PROXY "
        "all_proxy ALL_PROXY no_proxy NO_PROXY\n"
        "ExecStart=/opt/kubernetes/bin/etcd --name=a --initial-cluster=a=https://10.0.0.1:2380\n"
        'ExecReload=/bin/sh -ec "kill -HUP \\"$$MAINPID\\""\n'
        "Restart=always\nRestartSec=1s\nLimitNOFILE=65536\nDelegate=yes\nOOMScoreAdjust=-999\n"
        "TimeoutStartSec=5min\nReadWritePaths=/a\nReadWritePaths=/b\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )


def test_long_commands_have_a_line_for_each_argument() -> None:
    flags = [f"--flag-{number}=value" for number in range(9)]
    text = command(["/bin/daemon", *flags])
    assert text == " \\\n    ".join(["/bin/daemon", *flags])


@given(st.lists(hostile(), max_size=6), st.booleans())
def test_arguments_arrive(words: list[str], long: bool) -> None:
    words = [*words, "x" * 100] if long else words
    text = refused(lambda: unit(name="a.service", description="a", exec_start=["/bin/x", *words]), "".join(words))
    if text is not None:
        (line,) = [line for key, line in settings(text) if key == "ExecStart"]
        assert arguments(line) == ["/bin/x", *words]


@given(hostile())
def test_other_values_arrive(text: str) -> None:
    def whole() -> str:
        return unit(name="a.service", description="a", exec_start=["/x"], environment={"K": text})

    if (made := refused(whole, text)) is not None:
        (line,) = [line for key, line in settings(made) if key == "Environment"]
        assert [[expand(each, "%") for each in words] for words in split(line)] == [[f"K={text}"]]
    try:
        made = unit(name="a.service", description=text, exec_start=["/x"], extra={"Slice": text})
    except ValueError:
        return
    found = dict(settings(made))
    assert (expand(found["Description"], "%"), expand(found["Slice"], "%")) == (text, text)
    assert [key for key, _ in settings(made)].count("ExecStart") == 1


@pytest.mark.parametrize("bad", ["a\nb", "a\0", "\x85", "\x1b"])
def test_control_characters_are_refused(bad: str) -> None:
    for call in (word, value):
        with pytest.raises(ValueError, match="control"):
            call(bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "a"},
        {"name": "../a.service"},
        {"exec_start": []},
        {"exec_start": ["relative"]},
        {"exec_start": ["-/bin/x"]},
        {"exec_start": ["/bin/%n"]},
        {"user": "a b"},
        {"type": "simple\nUser=root"},
        {"after": ["a.service b.service"]},
        {"environment": {"A B": "x"}},
        {"environment_files": ["relative"]},
        {"extra": {"A=B": "x"}},
        {"description": "ends in \\"},
        {"loads": ["/etc/a b"]},
        {"restart_sec": "1s\n"},
    ],
)
def test_refused(bad: dict[str, object]) -> None:
    good: dict[str, object] = {"name": "a.service", "description": "a", "exec_start": ["/bin/x"]}
    with pytest.raises(ValueError):  # noqa: PT011
        unit(**{**good, **bad})  # type: ignore[arg-type]


def test_prefixes() -> None:
    assert command(Exec(("/bin/x", "a"), root=True, optional=True)) == "-+/bin/x a"


def scripts(text: str, key: str, folder: Path) -> list[str]:
    """The sh scripts of a unit, with the host's folders moved into a test's."""
    lines = [arguments(line)[-1] for name, line in settings(text) if name == key]
    return [line.replace("/run/quorate", f"{folder}/run").replace("/etc/systemd", f"{folder}/etc") for line in lines]


def test_loaded_files_are_recorded(tmp_path: Path) -> None:
    (tmp_path / "etc/system").mkdir(parents=True)
    own, binary, config = tmp_path / "etc/system/a.service", tmp_path / "x", tmp_path / "a.conf"
    for path in (own, binary, config):
        path.write_text("1")
    text = unit(
        name="a.service",
        description="a",
        exec_start=[str(binary)],
        exec_reload=["true"],
        user="nobody",
        loads=[str(binary), str(config)],
    )
    assert text.count("=-+/bin/sh") == 3
    record = tmp_path / "run/a.service.loaded"

    def sh(script: str) -> None:
        subprocess.run(["/bin/sh", "-c", script], check=True)

    def stale() -> set[str]:
        done = subprocess.run(["sha256sum", "-c", record], capture_output=True, text=True, check=False)
        return {line.split(":")[0] for line in done.stdout.splitlines() if line.endswith("FAILED")}

    (start,) = scripts(text, "ExecStartPre", tmp_path)
    sh(start)
    assert len(record.read_text().splitlines()) == 3
    assert stale() == set()
    for path in (own, binary, config):
        path.write_text("2")
    before, _, after = scripts(text, "ExecReload", tmp_path)
    sh(before)
    assert stale() == {str(own), str(binary), str(config)}, "a reload that fails changes nothing"
    sh(after)
    assert stale() == {str(own), str(binary)}, "a reload takes over the configuration alone"
    config.unlink()
    sh(start)
    assert not record.exists(), "an incomplete record is none"
    assert list((tmp_path / "run").iterdir()) == []
    sh(before)
    sh(after)
    assert not record.exists(), "a reload without a record of the start makes none"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "quorate-test.service"
    path.write_text(
        unit(
            name="quorate-test.service",
            description="100% $HOME; \"quoted\" 'it' \\ —",
            exec_start=["/bin/echo", "%n", "$HOME", ";", "#", '"', "\\", "—", "", "x" * 100],
            environment={"A": "%n \"'\\ $"},
            loads=["/etc/hosts"],
            exec_reload=["true"],
            delegate=True,
            kill_mode="mixed",
            runtime_directory="quorate-test",
        )
    )
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
