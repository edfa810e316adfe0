"""kube-proxy: services' addresses, one on each worker, with a watch over its rules."""

import hashlib
from collections.abc import Iterator, Mapping

from quorate.component.command import tried
from quorate.component.context import Context
from quorate.component.keeper import check_of, whole
from quorate.component.service import service
from quorate.component.settings import client, proxy
from quorate.component.turns import Enough, Turns
from quorate.render import journal, yaml
from quorate.render.kubeconfig import kubeconfig
from quorate.render.sh import quote
from quorate.resource.brick import Brick
from quorate.resource.file import File
from quorate.resource.system import Undo
from quorate.resource.unit import Ready
from quorate.spec import layout
from quorate.spec.cluster import Cluster, Host, Role

NAME = "proxy"
AFTER: tuple[str, ...] = ("programs", "endpoint")
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.CANARY

RULES = f"{layout.BALANCER}/rules"
SEEN = "/run/quorate-rules"
"""Which run of kube-proxy has written rules already: one that begins, or waits for the API, is left in peace."""
LOOK = 5
"""Seconds between two looks at the rules; a look is three questions, seven in iptables mode."""


def resources(context: Context, host: Host) -> Iterator[Brick]:
    """Binary, configuration, service, health."""
    if not host.has(Role.WORKER):
        return
    c, name = context.cluster, host.name
    yield from context.binaries(host, "kube-proxy")
    own = layout.kubeconfig(proxy.NAME)
    text = kubeconfig(
        c.node_url,
        context.secrets.cert("ca"),
        "system:kube-proxy",
        cert_pem=context.secrets.cert("kube-proxy", name),
        key_pem=context.secrets.key("kube-proxy", name),
        cluster=c.name,
    )
    yield File(host=name, path=own, content=text, mode="0600", secret=True)
    config = proxy.config(c, host, context.of(host), context.minor)
    file = File(host=name, path=proxy.CONFIG, content=yaml.dump(config), mode="0600")
    flags = proxy.flags(c)
    yield tried(file, "kube-proxy.service", "kube-proxy", flags, c.versions.kubernetes, flag="config")
    yield Undo(host=name, what="service rules", order=_LEAVE)
    yield from service(
        context,
        host,
        "kube-proxy.service",
        description="Kubernetes kube-proxy",
        binary="kube-proxy",
        flags=flags,
        loads=[own, proxy.CONFIG],
        environment=client.environment(c),
        limit_nofile=min(65536, context.of(host).nofile_limit),
    )
    yield Ready(
        host=name,
        what="kube-proxy",
        check=f"curl -sf --noproxy '*' --connect-timeout 1 --max-time 3 http://{host.ip}:{proxy.HEALTH_PORT}/healthz",
        within=60,
        evidence=journal.last("kube-proxy.service"),
    )
    script, wanted = rules(), check(c)
    yield File(host=name, path=RULES, content=script, mode="0755")
    yield File(host=name, path=check_of(RULES), content=wanted, mode="0755")
    yield from service(
        context,
        host,
        "quorate-rules.service",
        description="Brings back rules of kube-proxy that somebody flushed",
        # By sh: SELinux lets init run what lies in /etc only as itself.
        exec_start=["/bin/sh", RULES],
        loads=[RULES, check_of(RULES)],
        after=["kube-proxy.service"],
        extra={"X-Script": hashlib.sha256(script.encode()).hexdigest()},
    )
    yield Ready(
        host=name,
        what="rules of kube-proxy",
        check=whole(RULES),
        within=60,
        evidence=f"/bin/sh {check_of(RULES)}; {journal.last('quorate-rules.service')}",
    )


def rules() -> str:
    """A script that starts kube-proxy anew when its rules are gone.

    In nftables mode kube-proxy looks at its rules only when something changes, or after an hour. In iptables mode it
    looks every 30 s whether chains of its own are there that hold nothing: who flushes rules and leaves chains is not
    noticed. Until then a host reaches no service.
    """
    return f"""\
#!/bin/sh
# Looks whether kube-proxy's rules are there; if not, and they were, kube-proxy has to write them anew.
{_PATH}
whole() {{
  gone=$(/bin/sh "$0.check") && [ -z "$gone" ]
}}
seen=$(cat {SEEN} 2>/dev/null)
while :; do
  sleep {LOOK}
  run=$(systemctl show -p InvocationID --value kube-proxy.service) || continue
  if whole; then
    [ "$seen" = "$run" ] || printf '%s' "$run" >{SEEN}
    seen=$run
  elif [ -n "$run" ] && [ "$seen" = "$run" ] && sleep 1 && ! whole; then
    echo "$gone: kube-proxy is started anew, and writes them"
    systemctl try-restart kube-proxy.service
  fi
done
"""


def check(c: Cluster) -> str:
    """A script that says whether kube-proxy's rules are gone.

    They are judged by the jumps from the kernel's own chains, and by what leads to the service `kubernetes`, which
    every cluster has. The jumps are those that kube-proxy writes in all versions from 1.20 on. In ipvs mode the
    services are no rules: the address is on an interface.
    """
    if c.network.proxy_mode == "nftables":
        address = quote(f"{{ {c.service_ip} . tcp . 443 }}")
        whole = f"""\
  nft list chain ip kube-proxy nat-prerouting | grep -q 'jump services' &&
    nft list chain ip kube-proxy services | grep -q '@service-ips' &&
    nft get element ip kube-proxy service-ips {address} >/dev/null"""
    else:
        jumps = [*_JUMPS, *(_JUMPS_IPTABLES if c.network.proxy_mode == "iptables" else ())]
        lines = [f"leads {table} {chain} {to}" for table, chain, to in jumps]
        if c.network.proxy_mode == "iptables":
            lines.append(f"iptables -w -t nat -S KUBE-SERVICES | grep -q -- '-d {c.service_ip}/32 '")
        whole = "  " + " &&\n    ".join(lines)
    return f"""\
#!/bin/sh
# Says so when rules of kube-proxy are gone from this host's firewall.
{_PATH}
leads() {{ iptables -w -t "$1" -S "$2" | grep -q -- "-j $3$"; }}
whole() {{
{whole}
}} 2>/dev/null
whole || echo 'rules of kube-proxy are gone from the firewall, services are not reached'
exit 0
"""


_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_JUMPS = (
    ("nat", "PREROUTING", "KUBE-SERVICES"),
    ("nat", "OUTPUT", "KUBE-SERVICES"),
    ("nat", "POSTROUTING", "KUBE-POSTROUTING"),
    ("filter", "FORWARD", "KUBE-FORWARD"),
)
_JUMPS_IPTABLES = (("filter", "INPUT", "KUBE-EXTERNAL-SERVICES"), ("filter", "OUTPUT", "KUBE-SERVICES"))
_LEAVE = """\
# What kube-proxy, kubelet and CNI plugins have put into the firewall.
for t in iptables ip6tables; do
  if command -v $t-save >/dev/null && $t-save 2>/dev/null | grep -qE 'KUBE-|CNI-'; then
    $t-save | grep -vE 'KUBE-|CNI-' | $t-restore
  fi
done
if command -v nft >/dev/null; then
  for f in ip ip6; do nft delete table $f kube-proxy 2>/dev/null || :; done
fi
ip link delete kube-ipvs0 2>/dev/null || :
"""
