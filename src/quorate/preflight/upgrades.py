"""Judge of upgrades that nobody watches: none may restart two balancers at once."""

import fnmatch
import re

from quorate.component.upgrades import restarting
from quorate.preflight.check import Question, World
from quorate.report.findings import Verdict, passed, unchecked, warned
from quorate.spec.cluster import Host
from quorate.spec.layout import APT_UPGRADES

CONF = "/etc/dnf/automatic.conf"
INSTALLS = ("dnf-automatic-install.timer", "dnf5-automatic.timer")
"""Timers that install whatever the file says; that of dnf 5 is taken for one, for its file may have another place."""


def _ask(world: World, host: Host) -> str:
    """Which timers are on, and what the file says."""
    if world.facts(host).package_manager != "dnf" or not restarting(world.cluster, host):
        return ""
    return f"""\
echo asked
for t in dnf-automatic.timer {" ".join(INSTALLS)}; do
  if systemctl is-active -q "$t" || systemctl is-enabled -q "$t"; then echo "timer $t"; fi
done 2>/dev/null
sed -n 's/^[[:blank:]]*\\(apply_updates\\|excludepkgs\\|exclude\\)[[:blank:]]*=/set \\1 =/p' /etc/dnf/dnf.conf {CONF} \\
  2>/dev/null"""


UPGRADES = Question("upgrades", _ask)


def upgrades(world: World, host: Host) -> Verdict | None:
    """What would be restarted is left out: on Debian's kind by a file of ours, elsewhere by one of the operator's."""
    names, manager = restarting(world.cluster, host), world.facts(host).package_manager
    if not names or manager not in ("apt", "dnf"):
        return None
    if manager == "apt":
        return passed(f"{', '.join(names)} are left out by {APT_UPGRADES}")
    lines = world.answer(host, UPGRADES.name).splitlines()
    if "asked" not in lines:
        return unchecked()
    timers = [line.removeprefix("timer ") for line in lines if line.startswith("timer ")]
    said = [(words[1], words[3]) for line in lines if (words := line.split(None, 3))[0] == "set" and len(words) == 4]
    applies = dict(said).get("apply_updates", "no").lower() in ("yes", "true", "1")
    active = [timer for timer in timers if timer in INSTALLS or applies]
    left = [word for key, value in said if key != "apply_updates" for word in re.split(r"[,\s]+", value)]
    open_ = [name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in left)]
    if not active or not open_:
        return passed()
    leave = ",".join("nginx*" if name == "nginx" else name for name in open_)
    return warned(
        f"{', '.join(active)} may restart {', '.join(open_)} on several hosts at once: "
        f"excludepkgs={leave} under [base] in {CONF}"
    )
