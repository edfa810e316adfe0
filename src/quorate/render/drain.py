"""Pods that move away from a node, as pieces of sh: the same for one that leaves and one that changes."""

from quorate.render.cluster_questions import budgets
from quorate.render.sh import quote

MARK = "quorate.io/cordoned"
"""Annotation of a node that we cordoned: what somebody else has cordoned stays so."""
_MARKED = "jsonpath={.metadata.annotations." + MARK.replace(".", "\\.") + "}"
_HELD = """\
$1 == "budget" { budget = $2; split($2, at, "/") }
$1 == "on" && $2 == node {
  print "held: pod " at[1] "/" $3 ", by the PodDisruptionBudget " budget " that allows none to go"
}
"""
_LAST = 4
"""Lines of kubectl's that are passed on: it names what it waits for again and again."""


def drain(kubectl: str, node: str, seconds: int) -> str:
    """Cordon and drain a node, by `kubectl` as sh. Pods of DaemonSets stay, PodDisruptionBudgets are respected."""
    return f"{kubectl} drain {quote(node)} --ignore-daemonsets --delete-emptydir-data --force --timeout={seconds}s"


def emptied(kubectl: str, node: str, seconds: int) -> str:
    """The same with our mark, if it took pods; one that is not empty in time says what holds it, and takes pods again
    where the mark is ours.
    """
    name = quote(node)
    held = f"( {budgets(kubectl)}\n) </dev/null 2>/dev/null | awk -v node={name} {quote(_HELD)}"
    again = quote(f"node {node} was not empty within {seconds} s: it takes pods again, and is as it was")
    stays = quote(f"node {node} was not empty within {seconds} s; it stays cordoned, as it was found")
    return (
        f"case $({kubectl} get node {name} -o 'jsonpath={{.spec.unschedulable}}') in true) ;;\n"
        f"*) {kubectl} annotate node {name} {MARK}=yes --overwrite >/dev/null;; esac\n"
        f"rc=0; out=$({drain(kubectl, node, seconds)} 2>&1) || rc=$?\n"
        f"[ $rc != 0 ] || exit 0\n"
        f'printf "%s\\n" "$out" | tail -n {_LAST}\n{held} || :\n'
        f"{mark(kubectl, node)} || mark=\n"
        f'if [ -z "$mark" ]; then echo {stays}; elif {uncordon(kubectl, node)}; then echo {again}; fi\n'
        f"exit $rc"
    )


def mark(kubectl: str, node: str) -> str:
    """sh: the mark, if it is ours, as $mark; a node that is not there has none."""
    return f"mark=$({kubectl} get node {quote(node)} --ignore-not-found -o {quote(_MARKED)})"


def uncordon(kubectl: str, node: str) -> str:
    """sh: it takes pods again, and the mark goes."""
    name = quote(node)
    return f"{kubectl} uncordon {name} >/dev/null && {kubectl} annotate node {name} {MARK}- >/dev/null"
