"""What makes a simulated host: the loop that boots it on this machine, and a unit that it finds on its disk."""

from quorate.render.sh import quote

GUARD = """[Unit]
Description=Give this host its own control groups
DefaultDependencies=no
Before=sysinit.target systemd-tmpfiles-setup.service systemd-sysctl.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'mount -o remount,rw /sys/fs/cgroup || :; \\
  while read -r _ place kind _; do case $$kind in \\
    cgroup|cgroup2) mount -o remount,bind,rw "$$place" || :;; \\
  esac; done < /proc/mounts; \\
  [ ! -e /proc/sysrq-trigger ] || mount --bind /dev/null /proc/sysrq-trigger'

[Install]
WantedBy=sysinit.target
"""
"""The unit by which a host has control groups of its own, and does not reach this machine's sysrq."""


def boot(
    *,
    loop: str,
    private_run: str,
    overlay: str,
    start: str,
    cable: str,
    bridge: str,
    mac: str,
    cut: str,
    address: str,
    prefix: int,
    gateway: str,
) -> str:
    """sh that gives a host its network and boots it, again and again until it powers off.

    `loop` puts it into its control groups, `private_run` and `overlay` mount what it needs, `start` runs the host; all
    are sh. While the file `cut` is there, its `cable` is.
    """
    return f"""#!/bin/sh
# The power supply of one simulated host of `quorate lab`.
set -eu
{loop}
{private_run}
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
{overlay}
while :; do
    ip link del {cable} 2> /dev/null || :
    ip netns del host 2> /dev/null || :
    ip netns add host
    ip netns exec host sh -c 'echo 0 > /proc/sys/net/ipv4/ip_forward'
    ip link add {cable} type veth peer name eth0 address {mac} netns host
    ip link set {cable} master {bridge}
    [ -e {quote(cut)} ] || ip link set {cable} up
    ip -n host link set lo up
    ip -n host addr add {address}/{prefix} dev eth0
    ip -n host link set eth0 up
    ip -n host route add default via {gateway}
    ip -n host route add unreachable 169.254.0.0/16
    code=0
    sh -c {quote(start)} || code=$?
    ip link del {cable} 2> /dev/null || :
    [ "$code" = 133 ] || exit "$code"
done
"""
