"""kube-proxy: services' addresses, one on each worker; in nftables mode with a watch over its rules."""

import hashlib
from collections.abc import Iterator

from quorate.component.context import Context
from quorate.component.service import arguments, service
from quorate.component.settings import client, proxy
from quorate.render import yaml
from quorate.render.kubeconfig import kubeconfig
from quorate.render.sh import quote
from quorate.resource.brick import Brick
from quorate.resource.file import File
from quorate.resource.system import Setting
from quorate.resource.unit import Ready
from quorate.spec import layout
from quorate.spec.cluster import Cluster, Host, Role

NAME = "proxy"
AFTER: tuple[str, ...] = ("programs", "endpoint")
SERIAL = True

RULES = f"{layout.BALANCER}/rules"
SEEN = "/run/quorate-rules"
"""Which run of kube-proxy has written rules already: one that begins, or waits for the API, is left in peace."""
LOOK = 5
"""Seconds between two looks at the rules. The iptables mode looks at its own every 30 s; a look is three questions."""


def resources(context: Context, host: Host) -> Iterator[Brick]:
    """Binary, configuration, service, health."""
    if not host.has(Role.WORKER):
        return
    c, name = context.cluster, host.name
    yield from context.binaries(host, "kube-proxy")
    own = layout.kubeconfig(proxy.NAME)
    text = kubeconfig(
        c.server_url,
        context.secrets.cert("ca"),
        "system:kube-proxy",
        cert_pem=context.secrets.cert("kube-proxy", name),
        key_pem=context.secrets.key("kube-proxy", name),
        cluster=c.name,
    )
    yield File(host=name, path=own, content=text, mode="0600", secret=True)
    config = proxy.config(c, host, context.of(host), context.minor)
    yield File(host=name, path=proxy.CONFIG, content=yaml.dump(config), mode="0600")
    yield Setting(host=name, what="service rules", want=(), check=":", order=":", undo=_LEAVE)
    yield from service(
        context,
        host,
        "kube-proxy.service",
        description="Kubernetes kube-proxy",
        binary="kube-proxy",
        exec_start=arguments(proxy.flags(c)),
        loads=[own, proxy.CONFIG],
        environment=client.environment(c),
        limit_nofile=min(65536, context.of(host).nofile_limit),
    )
    yield Ready(
        host=name,
        what="kube-proxy",
        check=f"curl -sf --connect-timeout 1 --max-time 3 http://{host.ip}:{proxy.HEALTH_PORT}/healthz",
        within=60,
        evidence="journalctl -u kube-proxy -n 15 --no-pager -o cat",
    )
    if c.network.proxy_mode == "nftables":
        script = rules(c)
        yield File(host=name, path=RULES, content=script, mode="0755")
        yield from service(
            context,
            host,
            "quorate-rules.service",
            description="Brings back rules of kube-proxy that somebody flushed",
            # By sh: SELinux lets init run what lies in /etc only as itself.
            exec_start=["/bin/sh", RULES],
            loads=[RULES],
            after=["kube-proxy.service"],
            extra={"X-Script": hashlib.sha256(script.encode()).hexdigest()},
        )


def rules(c: Cluster) -> str:
    """A script that starts kube-proxy anew when its nftables rules are gone.

    In this mode kube-proxy looks at its rules only when something changes, or after an hour; until then a host whose
    rules a firewall's reload or a human has flushed reaches no service. It is judged by what leads to the service
    `kubernetes`, which every cluster has: the jump, the lookup and the address.
    """
    address = quote(f"{{ {c.service_ip} . tcp . 443 }}")
    return f"""\
#!/bin/sh
# Looks whether kube-proxy's rules in nftables are there; if not, and they were, kube-proxy has to write them anew.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
whole() {{
  nft list chain ip kube-proxy nat-prerouting | grep -q 'jump services' &&
    nft list chain ip kube-proxy services | grep -q '@service-ips' &&
    nft get element ip kube-proxy service-ips {address} >/dev/null
}} 2>/dev/null
seen=$(cat {SEEN} 2>/dev/null)
while :; do
  sleep {LOOK}
  run=$(systemctl show -p InvocationID --value kube-proxy.service) || continue
  if whole; then
    [ "$seen" = "$run" ] || printf '%s' "$run" >{SEEN}
    seen=$run
  elif [ -n "$run" ] && [ "$seen" = "$run" ] && sleep 1 && ! whole; then
    echo "the rules of kube-proxy are gone: it is started anew, and writes them"
    systemctl try-restart kube-proxy.service
  fi
done
"""


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
