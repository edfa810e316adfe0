"""All checks, in the order in which they are shown. `docs/preflight.md` is a view of this table."""

from quorate.preflight import disk, foreign, host, machine, network, pairs, releases, vip
from quorate.preflight.check import Check, Question
from quorate.preflight.links import ADDRESSES

CHECKS: tuple[Check, ...] = (
    Check(
        "reachable", "SSH leads to every host",
        "A host that is new must answer before anything begins; one that was in the cluster is left as it is.",
        "bring the host back, or take it out of the file; a new one needs `quorate trust` once",
        host.reachable, remote=False,
    ),
    Check(
        "sudo", "scripts run as root",
        "Everything that is installed belongs to root.",
        "allow NOPASSWD, or set ssh.sudo_password_file; see the guide on SSH",
        host.root, remote=False,
    ),
    Check(
        "plan", "a plan can be made",
        "The file must fit the hosts and what was before, and the artifacts must be had.",
        "see `quorate plan`",
        host.plan, remote=False,
    ),
    Check(
        "architecture", "one architecture, for which there are builds",
        "All hosts get the same binaries.",
        "use hosts of one architecture: amd64, arm64, ppc64le or s390x",
        machine.arch,
    ),
    Check(
        "releases", "etcd and containerd have no known fault, and fit",
        "What the source delivers is looked at, also where the file names no version.",
        "write a later one under `versions`, or leave it out for the one of the version table",
        releases.releases,
    ),
    Check(
        "haproxy", "haproxy is 2.4 or later",
        "API servers go to etcd by a local one; Debian 11, Ubuntu 20.04 and RHEL 8 have older ones.",
        "install a later one (backports, or a package of your own), or set artifacts.packages: bundle",
        releases.haproxy, (releases.HAPROXY_IS,),
    ),
    Check(
        "os", "a known distribution",
        "Packages have other names elsewhere.",
        "use Debian, Ubuntu, RHEL or a relative, or SUSE; or install the packages yourself",
        machine.system,
    ),
    Check(
        "kernel", "the kernel is new enough",
        "Kubernetes needs 3.10, cgroup v2 needs 4.15, kube-proxy's nftables mode needs 5.13.",
        "upgrade the kernel, or choose another network.proxy_mode",
        machine.kernel,
    ),
    Check(
        "features", "the kernel has what pods need",
        "Containers lie on overlayfs; services are rules of netfilter, which bridged packets must meet.",
        "load or install the kernel's modules (linux-modules-extra, kernel-modules), or use another kernel",
        machine.features, (machine.KERNEL_HAS,),
    ),
    Check(
        "cgroups", "control groups that this version takes",
        "kubelet refuses a node without its controllers; v1 is in maintenance from 1.31 on, v2 is stable from 1.25 on.",
        "boot with systemd.unified_cgroup_hierarchy=1 (v2) or 0 (v1), and with cgroup_enable=memory",
        machine.cgroups, (machine.CGROUPS,),
    ),
    Check(
        "systemd", "systemd runs the host, and is new enough",
        "All services are units; `ExecStartPre=+` came with 231, cpuset on cgroup v2 with 244.",
        "use a distribution of 2017 or later (cgroup v2: of 2020)",
        machine.systemd, (machine.SYSTEMD_IS,),
    ),
    Check(
        "memory", "memory for the roles",
        "kubeadm wants 1.7 GB for a control plane and advises 2 GB for any node.",
        "give the host more memory, or fewer roles",
        machine.memory,
    ),
    Check(
        "clock", "clocks agree",
        "etcd warns above 1 s between members; certificates and tokens are refused by a clock that is far off.",
        "set the clock, and let a time daemon keep it",
        machine.clock, (machine.CLOCK,),
    ),
    Check(
        "time-sync", "a time daemon runs",
        "Clocks that agree today drift apart.",
        "start chrony or systemd-timesyncd, or write `os: {time_sync: install}`",
        machine.time_sync,
    ),
    Check(
        "disk", "room on the disks",
        "Counted from the plan: what is replaced is there twice for a moment; etcd lays out its log before it starts.",
        "free the space, enlarge the disk, or lower etcd.quota_bytes",
        disk.space, (disk.DISKS,),
    ),
    Check(
        "inodes", "room for files",
        "A file system without inodes is full whatever its size; below 5 % kubelet says DiskPressure.",
        "remove small files, or make the file system anew with more inodes",
        disk.inodes, (disk.DISKS,),
    ),
    Check(
        "fsync", "synced writes are fast where etcd will live",
        "etcd answers a write when it is on a majority of disks; its documents ask for 10 ms at the 99th percentile.",
        "put etcd.data_dir on an SSD of its own, or write `network: {profile: wan}` for slower clocks",
        disk.fsync, (disk.FSYNC,),
    ),
    Check(
        "swap", "swap is off where it harms",
        "A member of etcd that is swapped out misses heartbeats; kubelet does not see swapped memory.",
        "swapoff -a, and take it out of /etc/fstab",
        machine.swap, (machine.SWAPS,),
    ),
    Check(
        "one-machine", "each host is one machine of its own",
        "Two names for one machine would be two members of etcd on one disk; clones confuse DHCP and the guard.",
        "correct the address in the file; for a clone: rm /etc/machine-id; systemd-machine-id-setup; reboot",
        machine.one_machine, (machine.IDENTITY, ADDRESSES),
    ),
    Check(
        "address", "the address is on the host",
        "Services listen there, and certificates name it.",
        "write an address of the host's own, with ssh_address if SSH goes another way",
        network.address, (ADDRESSES,),
    ),
    Check(
        "ports", "the cluster's ports are free or ours",
        "A service whose port is taken does not start.",
        "stop what listens there, or choose another endpoint.port or apiserver.port",
        network.ports, (network.PORTS,),
    ),
    Check(
        "data", "nothing of another cluster is there",
        "An apply would overwrite its keys; a member with foreign data never joins.",
        "take the host out of the file, or clean it: the other cluster's own reset, and an empty etcd.data_dir",
        foreign.data, (foreign.DATA,),
    ),
    Check(
        "firewall", "a firewall is opened",
        "Each role needs its ports; the guide has the table.",
        "write `os: {firewall: open-ports}`, or open them yourself",
        network.firewall,
    ),
    Check(
        "names", "names lead where they should",
        "Services and tools on a host talk to localhost and to its own name.",
        "correct /etc/hosts or DNS, or write `os: {hosts_file: true}`",
        network.names, (network.NAMES,),
    ),
    Check(
        "mtu", "packets of full size pass",
        "Small packets pass and large ones vanish: connections open, and hang.",
        "set one MTU everywhere, or the smallest on the way as network.mtu",
        pairs.mtu, (ADDRESSES, pairs.PAIRS),
    ),
    Check(
        "reach", "hosts reach the ports that they need of each other",
        "A port where nobody listens yet refuses; silence means that something on the way drops packets.",
        "open the ports of the guide's table between the hosts",
        pairs.reach, (pairs.PAIRS,),
    ),
    Check(
        "vip-free", "nobody else has the virtual IP",
        "Two machines with one address: clients reach one or the other by chance.",
        "write an address as endpoint.vip that no machine has",
        vip.free, (ADDRESSES, vip.VIP),
    ),
    Check(
        "vip-subnet", "the virtual IP is of the balancers' network",
        "Others find it by ARP, on that interface.",
        "write an address of that network, or endpoint.interface and endpoint.prefix",
        vip.subnet, (ADDRESSES,),
    ),
    Check(
        "router-id", "no other router uses our virtual_router_id",
        "Adverts of quorate go to its own balancers alone, so a clash disturbs neither; most other routers multicast.",
        "write another load_balancer.virtual_router_id",
        vip.router_id, (vip.VIP,),
    ),
)  # fmt: skip

QUESTIONS: tuple[Question, ...] = tuple(
    dict.fromkeys((machine.CLOCK, *(question for check in CHECKS for question in check.asks)))
)
"""Each once. The clock comes first, so that nothing stands between its question and its answer."""
