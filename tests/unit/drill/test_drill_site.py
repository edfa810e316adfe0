"""What a site does to a host's network, by `drill`, in namespaces of their own: with the real ip, iptables and nft."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import own_net
import pytest
from own_net import Net, needs_root

from quorate.component.keeper import check_of
from quorate.drill import site
from quorate.execute.outage import NOW, Injection, break_script, heal_script
from quorate.render.drill import DID, FOUND
from quorate.render.drill import site as scripts
from quorate.render.drill.packets import CANNOT
from quorate.render.sh import quote
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import FIREWALL

pytestmark = needs_root
HOST = Host(name="a", address=IPv4Address("10.0.0.1"), roles=(Role.LOAD_BALANCER, Role.WORKER))
VIP = IPv4Address("10.0.0.100")
SYSTEMCTL = """\
#!/bin/sh
echo "$*" >>/run/asked
case "$*" in
'is-active -q '*) grep -qx "$3" /run/active ;;
'kill -s KILL '*) sh /run/kill ;;
'restart '* | 'reload '*) sh /run/restart ;;
esac
"""
"""What runs is in a file; the balancer's end takes the virtual IP away, as keepalived does."""
RULES = """\
*filter
:INPUT DROP [0:0]
:QUORATE-INPUT - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -j QUORATE-INPUT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A QUORATE-INPUT -p tcp -m tcp --dport 6443 -j ACCEPT
COMMIT
"""


class Site(Net):
    """A host with an address, a way out, and a systemctl that only notes what it is asked."""

    spaces = ("net", "mnt")

    def put(self, path: str, text: str) -> None:
        self.sh(f"mkdir -p {path.rpartition('/')[0]}; printf %s {quote(text)} >{path}; chmod 755 {path}")

    def prepare(self) -> None:
        self.sh("mount --make-rprivate /; mount -t tmpfs t /run; mount -t tmpfs t /usr/local/sbin; : >/run/active")
        self.put("/usr/local/sbin/systemctl", SYSTEMCTL)
        self.put("/usr/local/sbin/systemd-run", "#!/bin/sh\n:\n")
        self.sh(
            "ip link set lo up; ip link add eth9 type veth peer name eth8; ip link set eth9 up; ip link set eth8 up"
        )
        self.sh("ip addr add 10.0.0.1/24 brd + dev eth9 label eth9:own; ip route add default via 10.0.0.254 dev eth9")
        self.sh("ip route add 10.7.0.0/16 via 10.0.0.253 proto dhcp src 10.0.0.1 metric 70")
        self.sh("ip route add 10.244.2.0/24 via 10.0.0.2 proto 109")

    def vip(self, and_then: str = ":") -> None:
        """The virtual IP, which goes when the balancer is killed, and something with it."""
        self.sh(f"ip addr add {VIP}/32 dev eth9; echo 'ip addr del {VIP}/32 dev eth9; {and_then}' >/run/kill")

    def broken(self, what: Injection) -> str:
        said = self.sh(break_script(what, "quorate-drill-x", 35))
        assert NOW in said.splitlines()
        return "".join(line.removeprefix(DID).strip() for line in said.splitlines() if line.startswith(DID))

    def healed(self, what: Injection) -> list[str]:
        """What it says; the second time nothing, and nothing is left."""
        said = self.sh(heal_script(what, "quorate-drill-x"))
        assert self.sh(heal_script(what, "quorate-drill-x")) == ""
        assert self.sh(f"[ -e {scripts.FOLDER} ]", check=False) == "1"
        return [line.removeprefix(FOUND).strip() for line in said.splitlines()]

    @property
    def routes(self) -> set[str]:
        return {line.strip() for line in self.sh("ip -4 route").splitlines() if " proto 109" not in line}


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(scripts, "KEEPERS", 1)
    monkeypatch.setattr(scripts, "WATCH", 2)
    with own_net.own_net(Site, tmp_path) as made:
        made.prepare()
        yield made


@pytest.mark.parametrize("takes", [False, True], ids=["alone", "takes the host's along"])
def test_an_address_is_renewed_and_the_host_stays(net: Site, takes: bool) -> None:
    net.vip("ip addr del 10.0.0.1/24 dev eth9" if takes else ":")
    before, what = net.routes, site.renewed(HOST, "nginx.service")
    assert net.broken(what) == "address renewed, then nginx killed"
    assert net.within(5, lambda: f" {VIP}/" not in net.sh("ip -4 -o addr"))
    own = " 10.0.0.1/24 brd 10.0.0.255 scope global eth9:own"
    assert net.within(2, lambda: own in net.sh("ip -4 -o addr show dev eth9"))
    assert net.within(2, lambda: net.routes == before), net.routes
    assert net.healed(what) == (["the host's own address was gone, and was put back"] if takes else [])
    assert "kill -s KILL nginx.service" in net.sh("cat /run/asked")


def test_a_worker_without_a_virtual_ip_has_only_its_own_to_lose(net: Site) -> None:
    before, what = net.routes, site.renewed(HOST)
    assert net.broken(what) == "address renewed"
    assert net.within(2, lambda: " 10.0.0.1/24 " in net.sh("ip -4 -o addr show dev eth9") and net.routes == before)
    assert net.healed(what) == []
    assert net.sh("cat /run/asked", check=False).count("kill") == 0
    net.sh("ip route replace 10.244.2.0/24 via 10.0.0.2 proto 109")
    what = site.restarted(HOST)
    assert net.broken(what) == "no network manager runs: pod routes taken away"
    assert net.within(5, lambda: "proto 109" not in net.sh("ip -4 route"))
    assert net.healed(what) == ["the route 10.244.2.0/24 via 10.0.0.2 did not come back"]


def test_an_address_with_all_that_dhcp_gave_it(net: Site) -> None:
    net.sh("ip addr del 10.0.0.1/24 dev eth9; ip addr add 10.0.0.1/24 brd + dev eth9 metric 100 noprefixroute "
           "valid_lft 600 preferred_lft 500; ip route add 10.0.0.0/24 dev eth9 src 10.0.0.1 metric 100; "
           "ip route add default via 10.0.0.254 dev eth9 metric 100")  # fmt: skip
    net.vip()
    before, what = net.routes, site.renewed(HOST, "haproxy.service")
    net.broken(what)
    assert net.within(5, lambda: f" {VIP}/" not in net.sh("ip -4 -o addr"))
    said = net.sh("ip -4 -o addr show dev eth9")
    assert "metric 100 brd 10.0.0.255 scope global dynamic noprefixroute eth9" in said
    assert "preferred_lft 5" in said or "preferred_lft 4" in said
    assert net.routes == before
    assert net.healed(what) == []


def test_without_its_address_the_host_says_so(net: Site) -> None:
    net.sh("ip addr flush dev eth9")
    assert net.sh(break_script(site.renewed(HOST, "nginx.service"), "quorate-drill-x", 35), check=False) == str(CANNOT)


def test_without_a_manager_what_it_would_take_goes(net: Site) -> None:
    net.vip()
    before, what = net.routes, site.restarted(HOST, VIP)
    assert net.broken(what) == "no network manager runs: virtual IP and pod routes taken away"
    assert net.within(5, lambda: f" {VIP}/" not in net.sh("ip -4 -o addr"))
    assert net.within(5, lambda: "proto 109" not in net.sh("ip -4 route"))
    assert net.routes == before
    assert net.healed(what) == ["the route 10.244.2.0/24 via 10.0.0.2 did not come back"]
    assert "10.244.2.0/24 via 10.0.0.2 dev eth9 proto 109" in net.sh("ip -4 route")
    assert f" {VIP}/" not in net.sh("ip -4 -o addr"), "that is keepalived's to put back, here or elsewhere"
    net.broken(what)
    net.sh("sleep 1; ip route replace 10.244.2.0/24 via 10.0.0.2 proto 109")
    assert net.healed(what) == []


def test_a_manager_that_does_not_bring_the_host_back(net: Site) -> None:
    net.sh("echo NetworkManager.service >/run/active; echo 'ip addr flush dev eth9' >/run/restart")
    before, what = net.routes, site.restarted(HOST, VIP)
    assert net.broken(what) == "NetworkManager.service restarted"
    assert net.within(5, lambda: "restart NetworkManager.service" in net.sh("cat /run/asked"))
    assert net.within(3, lambda: net.routes == before)
    assert "the host's own address was gone, and was put back" in net.healed(what)


def test_a_firewall_is_reloaded_without_what_the_cluster_has_put_there(net: Site) -> None:
    net.sh(f"iptables-restore <<'R'\n{RULES}R")
    net.put(check_of(FIREWALL), "iptables -w -C INPUT -j QUORATE-INPUT 2>/dev/null || echo closed")
    before, what = net.sh("iptables -S"), site.reloaded(HOST)
    try:
        assert net.broken(what) == "firewall reloaded (iptables)"
        assert net.within(5, lambda: "QUORATE" not in net.sh("iptables -S"))
        assert net.sh("iptables -S").splitlines() == [
            line for line in before.splitlines() if "QUORATE" not in line and "KUBE" not in line
        ]
        assert net.healed(what) == ["closed"], "whose keeper does nothing"
        net.broken(what)
        net.sh(f"sleep 0.5; iptables-restore -n <<'R'\n{RULES}R")
        assert net.healed(what) == []
    finally:
        net.sh(f"rm -f {check_of(FIREWALL)}")


def test_what_others_added_to_nftables_comes_back(net: Site) -> None:
    net.sh(f"iptables-restore <<'R'\n{RULES}R\nnft add table inet bans; nft add chain inet bans c")
    net.sh("echo nftables.service >/run/active; echo 'nft flush ruleset' >/run/restart")
    what = site.reloaded(HOST)
    before = net.sh("iptables -S")
    assert net.broken(what) == "firewall reloaded (nftables)"
    assert net.within(5, lambda: net.sh("nft list ruleset") == "")
    assert net.healed(what) == []
    assert "chain c" in net.sh("nft list table inet bans")
    assert net.sh("iptables -S") == before


def test_without_a_firewall_there_is_nothing_to_reload(net: Site) -> None:
    net.put("/usr/local/sbin/iptables", "#!/bin/sh\nexit 1\n")
    assert net.sh(break_script(site.reloaded(HOST), "quorate-drill-x", 35), check=False) == str(CANNOT)


def test_what_is_half_done_is_put_back_before_it_is_done_again(net: Site) -> None:
    net.vip()
    what = site.restarted(HOST, VIP)
    net.broken(what)
    net.sh("sleep 0.5; echo 'ip addr add 10.9.9.9/32 dev lo' >>/run/quorate-drill/back")
    net.broken(what)
    assert "10.9.9.9" in net.sh("ip -4 addr show dev lo")
    assert "put back" not in "".join(net.healed(what))
