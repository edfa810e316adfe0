"""Who flushes kube-proxy's rules: the watch with the real nft and iptables, in a network of its own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import own_net
import pytest
from own_net import Net, needs_root

from quorate.component import proxy
from quorate.component.context import Context
from quorate.core import Blob
from quorate.execute.survey import units
from quorate.render import service_rules
from quorate.resource.file import File
from quorate.resource.unit import Unit
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

TABLE = """\
table ip kube-proxy {
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
  chain service-ULMVA6XW { counter accept; }
  chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
  chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
}
add element ip kube-proxy service-ips { 10.96.0.1 . tcp . 443 : goto service-ULMVA6XW }
add element ip kube-proxy service-ips { 10.96.0.10 . udp . 53 : goto service-ULMVA6XW }
"""
"""What kube-proxy 1.37.2 writes, as far as the watch looks at it."""
CHAINS = """\
*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y
COMMIT
"""  # noqa: E501
"""The same of the iptables mode, 1.29 to 1.36."""
SYSTEMCTL = """\
#!/bin/sh
echo "$*" >> {0}/asked
case "$1" in
show) cat {0}/run ;;
try-restart) echo "run-$(wc -l < {0}/asked)" > {0}/run; nft flush ruleset; {1} {0}/table ;;
esac
"""
"""kube-proxy writes its table whole when it begins."""


def cluster(mode: str) -> Cluster:
    hosts = [
        {"name": "m", "address": "10.0.0.100", "roles": ["control-plane", "etcd"]},
        {"name": "w", "address": "10.0.0.1", "roles": ["worker"]},
    ]
    return Cluster.model_validate({"name": "c", "hosts": hosts, "network": {"proxy_mode": mode}})


class Watched(Net):
    """A namespace with rules, the watch, and a systemctl that plays kube-proxy."""

    def prepare(self, mode: str = "nftables") -> None:
        self.load = "nft -f" if mode == "nftables" else "iptables-restore -w -n"
        text = (
            service_rules.rules()
            .replace("PATH=", f"PATH={self.folder}:", 1)
            .replace(service_rules.SEEN, f"{self.folder}/seen")
        )
        text = text.replace(f"sleep {service_rules.BETWEEN_LOOKS_S}", "sleep 0.1").replace("sleep 1 ", "sleep 0.1 ")
        (self.folder / "rules").write_text(text)
        (self.folder / "rules.check").write_text(service_rules.check(mode, cluster(mode).service_ip))
        (self.folder / "table").write_text(TABLE if mode == "nftables" else CHAINS)
        (self.folder / "run").write_text("run-0\n")
        (self.folder / "asked").touch()
        (self.folder / "systemctl").write_text(SYSTEMCTL.format(self.folder, self.load))
        (self.folder / "systemctl").chmod(0o755)

    def watch(self) -> "subprocess.Popen[str]":
        return self.begin("/bin/sh", str(self.folder / "rules"))

    def write(self) -> None:
        """What kube-proxy does when it begins."""
        self.sh(f"{self.load} {self.folder}/table")

    def missing(self) -> str:
        return self.sh(f"/bin/sh {self.folder}/rules.check")

    def asked(self, word: str) -> int:
        return (self.folder / "asked").read_text().count(word)

    def look(self, times: int = 3) -> None:
        """Wait until the watch has looked some more times."""
        before = self.asked("show")
        assert self.within(40, lambda: self.asked("show") >= before + times)

    def rules(self) -> str:
        return self.sh("nft list ruleset")


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Watched]:
    with own_net.own_net(Watched, tmp_path) as made:
        if made.sh("nft list ruleset", check=False) != "0":
            pytest.skip("no nftables here")
        made.prepare()
        yield made


@needs_root
@pytest.mark.parametrize(
    "harm",
    [
        "nft flush ruleset",
        "nft delete table ip kube-proxy",
        "nft flush table ip kube-proxy",
        "nft flush chain ip kube-proxy nat-prerouting",
        "nft flush chain ip kube-proxy services",
        "nft flush map ip kube-proxy service-ips",
    ],
)
def test_rules_that_somebody_flushes_come_back(net: Watched, harm: str) -> None:
    net.write()
    before = net.rules()
    service = net.watch()
    net.look()
    assert net.asked("try-restart") == 0, "whole rules are left in peace"
    net.sh("nft 'add element ip kube-proxy service-ips { 10.96.0.7 . tcp . 80 : drop }'")
    net.look()
    assert net.asked("try-restart") == 0, "kube-proxy's own changes are none of its business"
    assert net.missing() == ""
    net.sh(harm)
    assert net.missing() or net.asked("try-restart")
    assert net.within(40, lambda: net.asked("try-restart kube-proxy.service") == 1)
    assert net.within(40, lambda: "10.96.0.1 . tcp . 443" in net.rules() and "jump services" in net.rules())
    net.look()
    assert net.asked("try-restart") == 1, "once"
    assert set(before.splitlines()) <= set(net.rules().splitlines())
    assert service.poll() is None
    assert "are gone" in net.end(service)


@needs_root
@pytest.mark.parametrize(
    "harm",
    [
        "iptables -F INPUT",
        "iptables -t nat -F",
        "iptables -F KUBE-SERVICES -t nat",
        "iptables -t nat -F PREROUTING; iptables -t nat -N KUBE-PROXY-CANARY",
        "nft flush ruleset",
    ],
)
def test_rules_in_iptables_come_back_though_the_canary_sits_there(tmp_path: Path, harm: str) -> None:
    with own_net.own_net(Watched, tmp_path) as net:
        net.prepare("iptables")
        assert net.missing()
        net.write()
        assert net.missing() == ""
        net.watch()
        net.look()
        assert net.asked("try-restart") == 0
        net.sh(harm)
        assert net.within(40, lambda: net.asked("try-restart kube-proxy.service") == 1)
        assert net.within(40, lambda: net.missing() == "")


@needs_root
def test_a_kube_proxy_that_has_not_written_yet_is_left_in_peace(net: Watched) -> None:
    """It waits for the API, at its first start or after one of ours: another start would make it wait longer."""
    net.watch()
    net.look(5)
    assert net.asked("try-restart") == 0
    net.write()
    net.look()
    (net.folder / "table").write_text("")  # it starts, and finds no API server
    net.sh("nft flush ruleset")
    assert net.within(40, lambda: net.asked("try-restart") == 1)
    net.look(5)
    assert net.asked("try-restart") == 1


@needs_root
def test_rules_flushed_while_nobody_watched_come_back(net: Watched) -> None:
    net.write()
    service = net.watch()
    net.look()
    net.end(service)
    net.sh("nft flush ruleset")
    net.watch()
    assert net.within(40, lambda: net.asked("try-restart") == 1)
    assert net.within(40, lambda: "jump services" in net.rules())


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
def test_every_mode_has_a_watch(mode: str) -> None:
    c = cluster(mode)
    supply = Supply(binaries={"kube-proxy": Blob(Path("/nonexistent"), "0" * 64, 1)})
    pems = dict.fromkeys(("ca.crt", "kube-proxy@w.crt", "kube-proxy@w.key"), b"PEM")
    context = Context(c, Facts(), supply, Secrets(pems), table("1.37"))
    found = list(proxy.resources(context, c.host("w")))
    assert {proxy.RULES, f"{proxy.RULES}.check"} <= {resource.path for resource in found if isinstance(resource, File)}
    assert "quorate-rules.service" in {resource.unit for resource in found if isinstance(resource, Unit)}
    assert "quorate-rules.service" in units(c, c.host("w"))
    assert "quorate-rules.service" not in units(c, c.host("m"))
    assert f"{proxy.RULES}.check" in next(each.check for each in found if each.name == "rules of kube-proxy")  # type: ignore[attr-defined]


def test_the_watch_is_sh_that_any_shell_reads() -> None:
    for shell in ("/bin/sh", "bash"):
        subprocess.run(
            [shell, "-n"],
            input=service_rules.rules() + service_rules.check("ipvs", cluster("ipvs").service_ip),
            text=True,
            check=True,
        )
