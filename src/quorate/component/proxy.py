"""kube-proxy: services' addresses, one on each worker."""

from collections.abc import Iterator

from quorate.component.context import Context
from quorate.component.service import arguments, service
from quorate.component.settings import client, proxy
from quorate.render import yaml
from quorate.render.kubeconfig import kubeconfig
from quorate.resource.brick import Brick
from quorate.resource.file import File
from quorate.resource.system import Setting
from quorate.resource.unit import Ready
from quorate.spec import layout
from quorate.spec.cluster import Host, Role

NAME = "proxy"
AFTER: tuple[str, ...] = ("programs", "endpoint")
SERIAL = True


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
