"""All checks, in the order in which they are shown. `docs/preflight.md` is a view of this table."""

from quorate.preflight import (
    clocks,
    disk,
    dropins,
    endpoint,
    endpoint_name,
    etcd_disk,
    folders,
    foreign,
    host,
    machine,
    mounts,
    network,
    overlaps,
    pairs,
    releases,
    runtime_catalog,
    syncs,
    sysctl,
    upgrade_catalog,
    upgrades,
    vip,
    way_out,
)
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
        "etcd warns above 1 s between members; tokens a minute early are refused, certificates an hour early.",
        "set the clock (`chronyc makestep`), this machine's too, and let a time daemon keep it",
        machine.clock, (machine.CLOCK,),
    ),
    Check(
        "time-sync", "a time daemon runs",
        "Clocks that agree today drift apart.",
        "start chrony or systemd-timesyncd, or write `os: {time_sync: install}`; take servers out that nobody wants",
        clocks.time_sync, (clocks.OTHERS,),
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
        "mounts", "programs may run where they are put",
        "Guides to hardening mount /var or /opt noexec: services, pods' volumes or dpkg fail there later.",
        "mount -o remount,exec that mount, and take noexec out of its line in /etc/fstab or of its unit",
        mounts.programs, (mounts.MOUNTS,),
    ),
    Check(
        "folders", "chosen folders of runtime and kubelet are on their disks",
        "On an unmounted or unfit disk images and volumes are lost, or fill the system's disk.",
        "mount it (`mount -a`), on ext4 or xfs; name a folder of its own that is empty",
        folders.fit, (folders.FOLDERS,),
    ),
    Check(
        "etcd-disk", "etcd's disk is mounted",
        "A member on the disk below has no data, or old ones: it has forgotten what it promised to the others.",
        "mount it (`mount -a`); if it is no disk of etcd's any more, take the line or the unit away that names it",
        etcd_disk.mounted,
    ),
    Check(
        "fsync", "synced writes are fast where etcd lives",
        "etcd answers a write when it is on a majority of disks; its documents ask for 10 ms at the 99th percentile.",
        "put etcd.data_dir on an SSD of its own; until then slower clocks: `network: {profile: wan}`, or heartbeat_ms",
        syncs.fsync, (syncs.FSYNC, syncs.ETCD),
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
        "overlaps", "pods, services and the virtual IP are apart from what hosts have and ask",
        "Whoever has an address in those networks is not reached any more, or pods and services are not; "
        "neither network can change after the first apply.",
        "write another network.pod_cidr or network.service_cidr while there is no cluster yet, or take the address, "
        "the route or the name server away from the host",
        overlaps.apart, (ADDRESSES,),
    ),
    Check(
        "ports", "the cluster's ports are free or ours",
        "A service whose port is taken does not start.",
        "stop what listens there, or choose another endpoint.port, endpoint.local_port or apiserver.port",
        network.ports, (network.PORTS,),
    ),
    Check(
        "data", "nothing of another cluster is there",
        "An apply would overwrite its keys; a member with foreign data never joins.",
        "take the host out of the file, or clean it: the other cluster's own reset, and an empty etcd.data_dir",
        foreign.data, (foreign.DATA,),
    ),
    Check(
        "drop-ins", "nobody else's drop-in changes our services",
        "systemd adds them to our units: that of kubeadm's package gives kubelet a second ExecStart, and none starts.",
        "remove the file, or hide a package's by a link of its name to /dev/null; then systemctl daemon-reload",
        dropins.untouched, (dropins.DROP_INS,),
    ),
    Check(
        "upgrades", "no upgrade that nobody watches restarts two balancers",
        "An upgraded haproxy, nginx or keepalived is restarted, and timers fire on all hosts in the same hour.",
        "leave these packages out of automatic upgrades, and upgrade them one host after the other (operations.md)",
        upgrades.upgrades, (upgrades.UPGRADES,),
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
        "endpoint-name", "the endpoint's name leads to the endpoint",
        "kubelets and kube-proxy find the API by it.",
        "correct DNS, or the line of /etc/hosts; or let apply write it: name_in_hosts, with `os: {hosts_file: true}`",
        endpoint_name.leads, (endpoint_name.NAME,),
    ),
    Check(
        "proxies", "no proxy is meant that nothing uses, and the file's own answers",
        "Requests inside the cluster that go to a proxy wait for minutes, so quorate takes none but that of the file, "
        "for image pulls and packages alone.",
        "write `os: {proxy: {url: ...}}` where images or packages come through one; else nothing is to be done",
        way_out.proxies, (way_out.PROXIES,),
    ),
    Check(
        "name-servers", "pods get name servers that they reach",
        "In a pod 127.0.0.53 is the pod itself; CoreDNS asks the node's servers for names outside the cluster.",
        "give the host a server that is not its own loopback (`resolvectl dns`, /etc/resolv.conf), or name a file that "
        "has one as kubelet.config.resolvConf",
        way_out.name_servers,
    ),
    Check(
        "sysctl", "kernel settings come back after a reboot",
        "At boot the sysctl file whose name sorts last wins; without forwarding no pod reaches another node.",
        "take the line out of that file, or give the file a name that sorts before zz-quorate.conf",
        sysctl.lasting, (sysctl.FILES,),
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
        "endpoint", "hosts reach an endpoint that is there",
        "A kubelet that can't reach it never brings its node; clouds drop what goes to addresses that they don't know.",
        "let the virtual IP pass where its holder is attached (allowed address pairs, port security), or open the port",
        endpoint.reached, (ADDRESSES, endpoint.ENDPOINT),
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
        "vrrp", "VRRP passes between the balancers",
        "Balancers that do not hear each other all hold the virtual IP; it is neither TCP nor UDP, and often filtered.",
        "let IP protocol 112 pass both ways between their addresses: security groups, port security, firewalls",
        vip.passes, (vip.VRRP,),
    ),
    Check(
        "router-id", "no other router uses our virtual_router_id",
        "Adverts of quorate go to its own balancers alone, so a clash disturbs neither; most other routers multicast.",
        "write another load_balancer.virtual_router_id",
        vip.router_id, (vip.VIP, vip.VRRP),
    ),
    *upgrade_catalog.CHECKS,
    *runtime_catalog.CHECKS,
)  # fmt: skip

QUESTIONS: tuple[Question, ...] = tuple(
    dict.fromkeys((machine.CLOCK, *(question for check in CHECKS for question in check.asks)))
)
"""Each once. The clock comes first, so that nothing stands between its question and its answer."""
