"""The host's own firewall stays on: the ports of the port matrix are opened in it, for whom they are meant."""

from collections.abc import Iterator

from quorate.component.context import Context
from quorate.component.service import service
from quorate.resource.brick import Brick
from quorate.resource.file import File
from quorate.resource.system import Setting
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import BALANCER
from quorate.spec.ports import Opening, openings

SCRIPT = f"{BALANCER}/firewall"


def firewall(context: Context, host: Host) -> Iterator[Brick]:
    """`open-ports`: rules of ours, kept by a service. `off`: the firewall is stopped. `keep`: nothing."""
    choice, kind = context.cluster.os.firewall, context.of(host).firewall
    if choice == "off" and kind in ("firewalld", "ufw"):
        unit = f"{kind}.service"
        yield Setting(
            host=host.name,
            what="firewall",
            want=(("active", "no"),),
            check=f"systemctl is-active -q {unit} && echo active=yes || echo active=no",
            order=f"systemctl disable --now -q {unit}",
            undo=f"systemctl enable --now -q {unit}",
        )
    if choice != "open-ports" or kind == "none":
        return
    rules = openings(context.cluster, host, [door.port for door in context.retiring])
    pods = str(context.cluster.network.pod_cidr) if host.has(Role.WORKER) else ""
    text = _firewalld(rules, pods) if kind == "firewalld" else _iptables(rules)
    yield File(host=host.name, path=SCRIPT, content=text, mode="0755")
    yield from service(
        context,
        host,
        "quorate-firewall.service",
        description="Ports of the cluster in the firewall of this host",
        # By sh: SELinux lets init run what lies in /etc only as itself.
        exec_start=["/bin/sh", SCRIPT, "open"],
        loads=[SCRIPT],
        exec_stop_post=[["/bin/sh", SCRIPT, "close"]],
        type="oneshot",
        restart="no",
        after=[f"{kind}.service"] if kind in ("firewalld", "ufw") else [],
        extra={"RemainAfterExit": True},
    )


def _firewalld(rules: tuple[Opening, ...], pods: str = "") -> str:
    """Rich rules of the default zone, permanent and now; on a worker also a policy for what it forwards."""
    lines: list[str] = []
    for rule in rules:
        for source in rule.sources:
            origin = "" if source == "any" else f'source address="{source}" '
            family = 'family="ipv4" ' if origin else ""
            lines += [f"rule {family}{origin}{what} accept".replace("  ", " ") for what in _firewalld_what(rule)]
    words = "\n".join(dict.fromkeys(lines))
    return f"""\
#!/bin/sh
# open|close: the cluster's ports in firewalld's default zone.
case "$1" in open) how=add;; *) how=remove;; esac
while read -r rule; do
  firewall-cmd -q --permanent --$how-rich-rule="$rule"
  firewall-cmd -q --$how-rich-rule="$rule"
done <<'RULES'
{words}
RULES
{_POLICY.format(pods=pods) if pods else ""}exit 0
"""


_POLICY = """\
# Zones reject what is forwarded to pods, and an accepting rule of iptables can't overrule firewalld's own nftables:
# a policy between all zones can. New policies are loaded by a reload alone. firewalld before 0.9 has no policies,
# and writes to iptables itself, where the chain of quorate-routes stands first.
policy() {{ firewall-cmd -q --permanent --policy=quorate-pods "$@"; }}
to='rule family="ipv4" destination address="{pods}" accept'
if [ "$1" != open ]; then
  firewall-cmd -q --permanent --delete-policy=quorate-pods 2>/dev/null && firewall-cmd -q --reload
elif ! firewall-cmd -q --policy=quorate-pods --query-rich-rule="$to" 2>/dev/null; then
  firewall-cmd -q --permanent --delete-policy=quorate-pods 2>/dev/null
  if firewall-cmd -q --permanent --new-policy=quorate-pods 2>/dev/null; then
    policy --add-ingress-zone=ANY && policy --add-egress-zone=ANY && policy --add-rich-rule="$to" &&
      policy --add-rich-rule='rule family="ipv4" source address="{pods}" accept' && firewall-cmd -q --reload
  fi
fi
"""


def _firewalld_what(rule: Opening) -> list[str]:
    if rule.protocol == "vrrp":
        return ['protocol value="vrrp"']
    if rule.protocol == "all":
        return [""]
    return [f'port port="{port}" protocol="{rule.protocol}"' for port in rule.ports]


def _iptables(rules: tuple[Opening, ...]) -> str:
    """A chain of ours before all else in INPUT, filled in one step; ufw and plain rules stay as they are."""
    lines = ["-A QUORATE-INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"]
    for rule in rules:
        for source in rule.sources:
            origin = "" if source == "any" else f" -s {source}"
            lines += [f"-A QUORATE-INPUT{origin}{what} -j ACCEPT" for what in _iptables_what(rule)]
    words = "\n".join(dict.fromkeys(lines))
    return f"""\
#!/bin/sh
# open|close: the cluster's ports, in a chain of their own before all other rules.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
while iptables -w -D INPUT -j QUORATE-INPUT 2>/dev/null; do :; done
if [ "$1" != open ]; then
  iptables -w -F QUORATE-INPUT 2>/dev/null; iptables -w -X QUORATE-INPUT 2>/dev/null
  exit 0
fi
iptables-restore -w -n <<'RULES' || exit 1
*filter
:QUORATE-INPUT - [0:0]
{words}
COMMIT
RULES
iptables -w -I INPUT 1 -j QUORATE-INPUT
"""


def _iptables_what(rule: Opening) -> list[str]:
    if rule.protocol == "vrrp":
        return [" -p 112"]
    if rule.protocol == "all":
        return [""]
    return [f" -p {rule.protocol} --dport {port.replace('-', ':')}" for port in rule.ports]
