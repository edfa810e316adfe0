"""keepalived: one balancer holds the virtual IP, and gives it away when it can't balance.

Four mechanisms, from fast to thorough. The balancer's own unit writes a track file when its process ends,
and keepalived sees that within milliseconds. The advertisements stop when the host is lost. The pulse
writes another track file when the process hangs. The health script finds a balancer that runs but does not
answer. Each of them puts the instance into FAULT (weight 0),
never to a lower priority: FAULT is announced by an advertisement of priority 0, after which the backup
waits only its skew time, while a lower priority would not move the address at all with `nopreempt`.
"""

import math
from collections.abc import Mapping, Sequence

from quorate.render import token
from quorate.render.sh import quote, sh

CHECK_INTERVAL_S = 1
CHECK_TIMEOUT_S = 3
"""Longer than the script's own deadline, so that the verdict is the script's."""
ANSWER_TIMEOUT_S = 1
"""Seconds for an answer through a balancer; a TLS handshake takes some 100 ms on a host with all CPUs busy."""
FALL = 2
"""Two silent answers: a balancer that answers nobody loses the address after at most 5 s, a hiccup moves nothing."""
RISE = 1
"""One answer is proof enough, and waiting for a second would lengthen an outage of all API servers."""
TOP_PRIORITY = 250
"""Priority of the first balancer, counting down. The higher, the shorter the skew time (256 - priority) /
256 of an advertisement interval that a backup waits; 255 is the address' owner and 0 is reserved.
"""
NAMED = "127.255.255.254"
"""The address that all advertisements name; nobody uses it. And the peer of a balancer that has none: without one
keepalived would multicast, and yield to any router of the segment that has its number."""
GARP_REFRESH_S = 10
"""The holder repeats its gratuitous ARP this often, which heals a lost one."""
GARP_DELAY_S = 1
"""After a takeover gratuitous ARPs are sent at once, and again after this time (keepalived: 5 s): all of the first may
be lost together."""


def config(
    *,
    router_id: str,
    interface: str,
    virtual_router_id: int,
    priority: int,
    advert_interval: float,
    address: str,
    peers: Sequence[str],
    vips: Mapping[str, int],
    vip_interface: str,
    check: str,
    track_file: str,
    pulse_file: str,
) -> str:
    """The whole keepalived.conf.

    `router_id` is the host's name, `address` its own address on `interface`, by which adverts go, `peers` the other
    balancers'. `vips` are the virtual addresses with their prefix lengths, all on `vip_interface`: when its link goes
    down, the host yields.
    `advert_interval` is in seconds, in steps of 0.01. `check` is the path of the health script,
    `track_file` that of the file to which the balancer's unit writes (see `mark`), `pulse_file` that of the
    pulse's; where there are no peers, there is no pulse. All balancers start as
    BACKUP with `nopreempt`: a host that comes back does not take the address, which would be a second
    interruption. There is no password: VRRPv3 (needed for intervals below 1 s) has none, and that of VRRPv2
    was plain text. Instead adverts go to the peers alone and are accepted only from them. Raises ValueError
    for what is no plain address, number, name or path.
    """
    hundredths = advert_interval * 100
    if not (math.isfinite(hundredths) and 1 <= round(hundredths) <= 4095):
        raise ValueError(f"an advertisement interval is from 0.01 to 40.95 s: {advert_interval!r}")
    own, on = token.address(address), token.interface(vip_interface)
    others = [token.address(peer) for peer in peers]
    if own in others:
        raise ValueError(f"{own} can't be its own peer")
    unicast = [
        f"    unicast_src_ip {own}",
        "    unicast_peer {",
        *(f"        {peer}" for peer in others or [NAMED]),
        "    }",
    ]
    pulse = [
        "# Written by the pulse: 1 while the balancer hangs. Without a pulse there is nothing to say.",
        "track_file balancer_pulse {",
        f"    file {token.path(pulse_file)}",
        "    weight 0",
        "    init_file 0",
        "}",
        "",
    ]
    lines = [
        "global_defs {",
        f"    router_id {token.name(router_id)}",
        "    vrrp_version 3",
        "    vrrp_check_unicast_src",
        f"    vrrp_garp_master_refresh {GARP_REFRESH_S}",
        f"    vrrp_garp_master_delay {GARP_DELAY_S}",
        "    # After a split whoever yields sends one more advert, at which the other repeats its gratuitous ARP.",
        "    # Else everybody goes on sending to the one that has yielded, until the refresh.",
        "    vrrp_higher_prio_send_advert true",
        "    # Adverts must go out on a busy host, too; where services share the CPUs out, the unit's CPUWeight helps.",
        "    # Not real time: that comes with a limit of 10 ms at which the kernel kills, and each reload makes it 0",
        "    # where CAP_SYS_RESOURCE is missing.",
        "    vrrp_priority -20",
        "    vrrp_no_swap",
        "    script_user root",
        "    enable_script_security",
        "}",
        "",
        "# Written by the balancer's unit: 0 when it has started, 1 when it has ended.",
        "track_file balancer_runs {",
        f"    file {token.path(track_file)}",
        "    weight 0",
        "    init_file 1",
        "}",
        "",
        *(pulse if others else []),
        "vrrp_script balancer_answers {",
        f"    script {token.path(check)}",
        f"    interval {CHECK_INTERVAL_S}",
        f"    timeout {CHECK_TIMEOUT_S}",
        f"    fall {FALL}",
        f"    rise {RISE}",
        "    weight 0",
        "}",
        "",
        "vrrp_instance kubernetes {",
        "    state BACKUP",
        "    nopreempt",
        f"    interface {token.interface(interface)}",
        f"    virtual_router_id {token.number(virtual_router_id, 1, 255)}",
        f"    priority {token.number(priority, 1, 254)}",
        f"    advert_int {round(hundredths) / 100}",
        *unicast,
        "    # What adverts name. If it were the addresses below, a balancer that has been given others and one that",
        "    # has not yet would not listen to each other, and both be masters.",
        "    virtual_ipaddress {",
        f"        {NAMED}/32 dev lo scope host no_track",
        "    }",
        "    virtual_ipaddress_excluded {",
        *(f"        {token.address(vip)}/{token.number(prefix, 1, 32)} dev {on}" for vip, prefix in vips.items()),
        "    }",
        "    track_file {",
        "        balancer_runs",
        *(["        balancer_pulse"] if others else []),
        "    }",
        "    track_script {",
        "        balancer_answers",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def health_script(*, port: int, peers: Sequence[str]) -> str:
    """A sh script that fails when another balancer answers /readyz and this host's own does not.

    The address must go where an answer is, and nowhere else: if API servers are slow or gone for everybody,
    moving it would cut all sessions and help nobody. So a silent balancer counts as failed only when a peer
    does better. Any HTTP status is an answer: a 500 (etcd elects a leader) or 401 comes through all of them.
    """
    ask = sh("curl", "-ks", "--noproxy", "*", "-o", "/dev/null", "--max-time", str(ANSWER_TIMEOUT_S))
    lines = [f"{ask} https://{token.address(peer)}:{token.port(port)}/readyz && exit 1" for peer in peers]
    return "\n".join(
        [
            "#!/bin/sh",
            "# Does an API server answer through this host's balancer? If not, does one through another balancer?",
            "command -v curl >/dev/null || exit 0",
            f"{ask} https://127.0.0.1:{token.port(port)}/readyz && exit 0",
            *lines,
            "exit 0",
            "",
        ]
    )


def mark(track_file: str, *, up: bool) -> str:
    """sh that tells keepalived that the balancer runs (for its ExecStartPost) or has ended (ExecStopPost)."""
    return f"echo {0 if up else 1} >{quote(token.path(track_file))}"


def drop(vips: Sequence[str]) -> str:
    """A sh script that takes the addresses from the host if they are there, before keepalived starts and after it has
    ended: one that was killed leaves them behind, and then two hosts have them. With whatever prefix and wherever they
    are: the one that was killed may have had another configuration.
    """
    return f"""\
#!/bin/sh
for vip in {" ".join(token.address(vip) for vip in [*vips, NAMED])}; do
  ip -4 -o address show to "$vip/32" | while read -r number dev family held rest; do
    ip address del "$held" dev "${{dev%%@*}}"
  done
done 2>/dev/null
exit 0
"""


def arguments(path: str, executable: str = "/usr/sbin/keepalived") -> list[str]:
    """The command line: VRRP alone, in the foreground, logging to the journal.

    A child that dies is not respawned by its parent, so that systemd sees the end and runs ExecStopPost.
    """
    flags = ["--dont-fork", "--vrrp", "--dont-respawn", "--log-console", "--no-syslog", "--log-detail"]
    return [token.path(executable), *flags, f"--use-file={token.path(path)}"]
