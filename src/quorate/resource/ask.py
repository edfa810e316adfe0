"""The askers: each answers all questions of one kind on a host with a handful of processes.

A plan asks some hundred questions per host; one process per question would cost seconds, so questions are
grouped by tool, and each tool turns its group into one piece of sh and splits the output again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from quorate.render.sh import quote
from quorate.spec.layout import LOADED, STATE, WANTS

MARK = "\x01"
"""Separates answers; no answer contains it (and no line-splitting function takes it for a line end)."""


@dataclass(frozen=True)
class Tool:
    """`script` asks all questions; `answers` splits what it printed, in the order of the questions."""

    script: Callable[[Sequence[str]], str]
    answers: Callable[[Sequence[str], str], list[str]]


def _paths_script(paths: Sequence[str]) -> str:
    words = " ".join(quote(path) for path in paths)
    return (
        f"set -- {words}\n"
        "stat -c '%n %F|%a|%U|%G' -- \"$@\" 2>/dev/null\n"
        f"printf '{MARK}\\n'\n"
        'for p; do if [ -L "$p" ]; then printf \'%s %s\\n\' "$(readlink -- "$p")" "$p" >&3; fi; done 3>&1\n'
        f"printf '{MARK}\\n'\n"
        'n=; for p; do if [ -f "$p" ] && ! [ -L "$p" ]; then n=1; else shift; continue; fi; '
        'shift; set -- "$@" "$p"; done\n'
        '[ -z "$n" ] || sha256sum -- "$@" 2>/dev/null || :\n'
    )


def _paths_answers(paths: Sequence[str], output: str) -> list[str]:
    stats, links, sums = [*output.split(f"{MARK}\n"), "", "", ""][:3]
    stat_of = {line[: line.index(" ")]: line for line in stats.splitlines()}
    link_of = {line.rsplit(" ", 1)[1]: line.rsplit(" ", 1)[0] for line in links.splitlines() if " " in line}
    sum_of = {line[66:]: line[:64] for line in sums.splitlines() if len(line) > 66}
    found = []
    for path in paths:
        if (line := stat_of.get(path)) is None:
            found.append("")
            continue
        kind, mode, user, group = line[len(path) + 1 :].split("|")
        words = {"regular file": "file", "regular empty file": "file", "directory": "directory"}
        fields = [f"type={words.get(kind, kind)}", f"mode={mode.zfill(4)}", f"owner={user}:{group}"]
        if path in link_of:
            fields = ["type=link", f"target={link_of[path]}"]
        elif path in sum_of:
            fields.append(f"sha256={sum_of[path]}")
        found.append("\n".join(fields))
    return found


def _binaries_script(paths: Sequence[str]) -> str:
    words = " ".join(quote(path) for path in paths)
    return (
        f"sums=$(cat {STATE}/sums 2>/dev/null)\n"
        f"stat -c '%n %s %.9Y %.9Z %i %a %U %G' -- {words} 2>/dev/null | "
        "while read -r p s m c i a u g; do\n"
        '  case "$sums" in\n'
        '  *"$p $s $m $c $i "*) d=${sums#*"$p $s $m $c $i "}; d=${d%%[!0-9a-f]*};;\n'
        '  *) d=$(sha256sum -- "$p"); d=${d%% *};;\n'
        "  esac\n"
        '  printf \'%s %s %s %s:%s\\n\' "$p" "$d" "$a" "$u" "$g"\n'
        "done\n"
    )


def _binaries_answers(paths: Sequence[str], output: str) -> list[str]:
    found = {line.split(" ")[0]: line.split(" ") for line in output.splitlines()}
    return [f"sha256={w[1]}\nmode={w[2].zfill(4)}\nowner={w[3]}" if (w := found.get(path)) else "" for path in paths]


def _units_script(units: Sequence[str]) -> str:
    words = " ".join(quote(unit) for unit in units)
    return (
        f"systemctl show --no-pager -p Id,ActiveState,LoadState,NeedDaemonReload -- {words}\n"
        f"printf '{MARK}\\n'\n"
        f'for u in {words}; do [ ! -L {WANTS}/"$u" ] || echo "$u enabled"; done\n'
        f"cd {LOADED} 2>/dev/null && for u in {words}; do\n"
        '  if [ -e "$u.loaded" ]; then\n'
        '    if sha256sum -c --status -- "$u.loaded" 2>/dev/null; then echo "$u current"; '
        'else echo "$u stale"; fi\n'
        "  fi\n"
        "done\n"
    )


def _units_answers(units: Sequence[str], output: str) -> list[str]:
    shown, _, more = output.partition(f"{MARK}\n")
    told = {tuple(line.split(" ", 1)) for line in more.splitlines()}
    loaded = {name: word for name, word in told if word != "enabled"}
    found = {}
    for block in shown.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in fields:
            found[fields["Id"]] = fields
    answers = []
    for unit in units:
        fields = found.get(unit, {})
        if fields.get("LoadState", "not-found") == "not-found":
            answers.append("")
            continue
        reload = "yes" if fields.get("NeedDaemonReload") == "yes" else "no"
        enabled = "enabled" if (unit, "enabled") in told else "disabled"
        answers.append(
            f"active={fields.get('ActiveState', '')}\nenabled={enabled}\n"
            f"reload={reload}\nloaded={loaded.get(unit, 'unknown')}"
        )
    return answers


def _scripts_script(scripts: Sequence[str]) -> str:
    return "".join(
        f"printf '{MARK}{number}\\n'\n( {script}\n) </dev/null 2>/dev/null || :\n"
        for number, script in enumerate(scripts)
    )


def _scripts_answers(scripts: Sequence[str], output: str) -> list[str]:
    found = {}
    for block in output.split(MARK)[1:]:
        number, _, text = block.partition("\n")
        found[int(number)] = text
    return [found.get(number, "") for number in range(len(scripts))]


TOOLS: Mapping[str, Tool] = {
    "path": Tool(_paths_script, _paths_answers),
    "binary": Tool(_binaries_script, _binaries_answers),
    "unit": Tool(_units_script, _units_answers),
    "script": Tool(_scripts_script, _scripts_answers),
}

_PART = "\x02"
"""Separates the output of tools."""


def script(questions: Mapping[str, Sequence[str]]) -> str:
    """One piece of sh that asks everything, tool by tool."""
    return "".join(
        f"printf '{_PART}{tool}\\n'\n( {TOOLS[tool].script(asked)}) </dev/null || :\n"
        for tool, asked in questions.items()
        if asked
    )


def answers(questions: Mapping[str, Sequence[str]], output: str) -> dict[str, list[str]]:
    """The answers of each tool, in the order of its questions."""
    parts = {}
    for block in output.split(_PART)[1:]:
        tool, _, text = block.partition("\n")
        parts[tool] = text
    return {tool: TOOLS[tool].answers(asked, parts.get(tool, "")) for tool, asked in questions.items()}
