"""The sections of the cluster file: versions, endpoint, network, parts; all have defaults."""

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import Field

from quorate.spec.kinds import (
    Bucket,
    Calendar,
    Cidr,
    Data,
    Direct,
    DnsName,
    File,
    Flags,
    Image,
    Interface,
    Location,
    Model,
    Port,
    PortRange,
    Prefix,
    Program,
    ProxyUrl,
    Recipient,
    Region,
    Registry,
    Share,
    Size,
    Sysctl,
    Text,
    Url,
    UserName,
    Version,
)
from quorate.spec.layout import BACKUPS

Part = Literal["kubernetes", "etcd", "containerd", "docker", "runc", "cni_plugins", "age"]


class Versions(Model):
    """Versions of the parts; the defaults follow from `kubernetes` (see the version table)."""

    kubernetes: Version = "1.37.2"
    """Kubernetes, from 1.20 to 1.37."""
    etcd: Version | None = None
    """etcd."""
    containerd: Version | None = None
    """containerd, also below Docker."""
    docker: Version | None = None
    """Docker, for `runtime: {kind: docker}`."""
    runc: Version | None = None
    """runc."""
    cni_plugins: Version | None = None
    """The CNI project's plugins (bridge, host-local, ...)."""
    coredns: Version | None = None
    """CoreDNS, where quorate builds its image (`artifacts.source: modules`)."""
    metrics_server: Version | None = None
    """metrics-server, where quorate builds its image (`artifacts.source: modules`)."""
    age: Version | None = None
    """age, with which etcd hosts seal backups (`backup.schedule`)."""
    crictl: Version | None = None
    """crictl, where quorate builds it (`artifacts.source: modules`)."""


class Endpoint(Model):
    """Where everybody finds the API: a virtual IP of the balancers, an address that exists already, or a balancer on
    every node."""

    vip: IPv4Address | None = None
    """Virtual IP held by one of the load-balancer hosts."""
    address: DnsName | None = None
    """An existing address or name (a hardware balancer, DNS), instead of `vip`; with `local`, for clients outside."""
    local: bool = False
    """A balancer on each worker and master, for that host alone, instead of `vip`: where no virtual IP can be, as in
    clouds. No host has the role load-balancer then. Clients outside use `address`, or any master's own address."""
    local_port: Port = 6444
    """Port of loopback on which a host's own balancer listens, with `local`."""
    name: DnsName | None = None
    """A name for `vip` or `address`, by which kubeconfigs find the API; the certificates have both."""
    name_in_hosts: bool = True
    """Write `name` into the hosts' block in /etc/hosts (`os.hosts_file`): they need no DNS for it then."""
    port: Port = 6443
    """Port of `vip` or `address`."""
    interface: Interface = "auto"
    """Interface for the VIP on the balancers; `auto` is the one that carries the host's address. VRRP goes by that one
    in any case; `vip_interface` of a host overrides this."""
    prefix: Annotated[int, Field(ge=8, le=32)] | None = None
    """Prefix length of the VIP's network, where the interface has no address in it; else the VIP is added as /32."""


class LoadBalancer(Model):
    """The balancers in front of the API servers."""

    kind: Literal["nginx", "haproxy"] = "nginx"
    """The program in front of the API servers."""
    virtual_router_id: Annotated[int, Field(ge=1, le=255)] | None = None
    """VRRP router id, unique in the network segment (default: computed from the VIP; one that runs stays)."""
    advert_interval: Annotated[float, Field(ge=0.01, le=40)] | None = None
    """Seconds between VRRP advertisements; the backup takes over after about 3 (default: lan 0.1, wan 1)."""
    connect_timeout_ms: Annotated[int, Field(ge=10, le=60000)] | None = None
    """Milliseconds to connect to an API server before the next is tried (default: lan 250, wan 1000)."""


class RegistryAccess(Model):
    """What a registry, or a mirror, is asked with: an authority to believe it by, a login to be let in by."""

    ca_file: File | None = None
    """PEM of the authority that signed its certificate, where hosts do not trust that anyway."""
    login_file: File | None = None
    """File (mode 0600) with `USER:PASSWORD`, or `env:NAME`, which names a variable."""
    override_path: bool | None = None
    """Whether paths of its mirrors are taken as they are, or get `/v2` (default: as they are where they have it)."""


class Runtime(Model):
    """The container runtime of the workers."""

    kind: Literal["containerd", "docker"] = "containerd"
    """`docker` is possible up to Kubernetes 1.23."""
    keep_docker: bool = False
    """Of a cluster that goes from Docker to containerd: Docker stays on its hosts as it is, with containers that are
    not Kubernetes', and is theirs from then on. Else it goes, with its images and volumes."""
    data_dir: Data | None = None
    """Folder of images and containers (default: /var/lib/containerd, or /var/lib/docker); a host's own goes before."""
    pause_image: Image | None = None
    """Sandbox image (default: the version's own, or the artifact source's)."""
    registry_mirrors: dict[Registry, tuple[Url, ...]] = Field(default_factory=dict)
    """Mirrors by registry, such as `docker.io: [https://mirror.example]`.

    Of a URL with `/v2` in its path, as in `https://mirror.example/v2/project`, the path is taken as it is;
    `registry_access.*.override_path` says otherwise.
    """
    registry_access: dict[Registry, RegistryAccess] = Field(default_factory=dict)
    """Authority and login by registry or mirror, as host with its port, if it has one: `mirror.example:5000`."""
    insecure_registries: tuple[Registry, ...] = ()
    """Registries without TLS, or with certificates that nobody trusts."""
    log_max_size: Size = "50Mi"
    """Size at which a container's log is rotated."""
    log_max_files: Annotated[int, Field(ge=2, le=100)] = 5
    """Rotated logs kept of each container."""


class Network(Model):
    """Pod and service networks, and the network between hosts."""

    profile: Literal["lan", "wan"] = "lan"
    """Clocks for hosts in one segment (`lan`), or 50 ms apart with 1 % of packets lost (`wan`)."""
    pod_cidr: Cidr = IPv4Network("10.244.0.0/16")
    """Network of all pods; each worker gets a part of it."""
    service_cidr: Cidr = IPv4Network("10.96.0.0/16")
    """Network of services: its first address is the API's."""
    node_mask: Annotated[int, Field(ge=16, le=30)] = 24
    """Prefix length of each node's part of the pod network."""
    dns_domain: DnsName = "cluster.local"
    """Domain of the cluster's DNS."""
    cni: Literal["routed", "manifest", "none"] = "routed"
    """`routed`: bridge and routes kept by quorate. `manifest`: any CNI's YAML. `none`: you bring it."""
    manifest: Location | None = None
    """Path or URL of the CNI's YAML, for `cni: manifest`."""
    gateways: dict[Cidr, IPv4Address] = Field(default_factory=dict)
    """Subnets of the hosts, each with its gateway, for `cni: routed` in several: `10.77.1.0/24: 10.77.1.1`.

    Each of these routers must lead every worker's part of the pod network to that worker; the plan lists the routes.
    """
    node_ports: PortRange = "30000-32767"
    """Ports for services of type NodePort."""
    proxy_mode: Literal["iptables", "ipvs", "nftables"] = "iptables"
    """How kube-proxy leads services to pods."""
    mtu: Annotated[int, Field(ge=576, le=9216)] | None = None
    """MTU of pod interfaces (default: the host's)."""


class Dns(Model):
    """Cluster DNS (CoreDNS)."""

    enabled: bool = True
    """Whether CoreDNS is installed."""
    address: IPv4Address | None = None
    """Address of the DNS service, in `network.service_cidr` (default: its second if that is small, else its tenth)."""
    image: Image | None = None
    """CoreDNS image (default: the artifact source's, or the version's own from registry.k8s.io)."""
    replicas: Annotated[int, Field(ge=1, le=100)] = 2
    """How many CoreDNS pods run."""


class Metrics(Model):
    """What pods and nodes use (metrics-server): `kubectl top`, autoscaling. From Kubernetes 1.31 on."""

    enabled: bool = True
    """Whether metrics-server is installed."""
    image: Image | None = None
    """metrics-server image (default: the artifact source's, or the version's own from registry.k8s.io)."""
    replicas: Annotated[int, Field(ge=1, le=100)] = 2
    """How many metrics-server pods run; never more than there are workers."""


class Etcd(Model):
    """The quorum store."""

    heartbeat_ms: Annotated[int, Field(ge=10, le=5000)] | None = None
    """Milliseconds between the leader's heartbeats (default: lan 50, wan 250)."""
    election_ms: Annotated[int, Field(ge=50, le=50000)] | None = None
    """Milliseconds without one until a member wants to lead; at least 5 heartbeats (default: lan 500, wan 2500)."""
    data_dir: Data = "/var/lib/etcd"
    """Folder of the members' data."""
    quota_bytes: Annotated[int, Field(ge=2**28, le=2**34)] = 8 * 2**30
    """Size of the store at which writes are refused."""
    extra_flags: Flags = Field(default_factory=dict)
    """Further flags, without their dashes: `{snapshot-count: "20000"}`."""


class ApiServer(Model):
    """kube-apiserver."""

    port: Port = 6443
    """Port on each control-plane host."""
    extra_sans: tuple[DnsName, ...] = ()
    """Further names and addresses for its certificate."""
    audit_policy: File | None = None
    """Your own audit policy (default: metadata of writes, nothing of secrets' content)."""
    encrypt_secrets: bool = True
    """Encryption of Secret objects at rest in etcd."""
    jwt: tuple[dict[str, object], ...] = ()
    """Issuers whose tokens are believed, as `jwt` in AuthenticationConfiguration; up to 1.31 by `oidc-` flags."""
    extra_flags: Flags = Field(default_factory=dict)
    """Further flags, without their dashes: `{v: "2"}`."""


class Daemon(Model):
    """A component with nothing but extra flags."""

    extra_flags: Flags = Field(default_factory=dict)
    """Further flags, without their dashes: `{v: "2"}`."""


class Kubelet(Model):
    """kubelet."""

    data_dir: Data | None = None
    """Folder of pods' volumes (default: /var/lib/kubelet); a host's own `kubelet_dir` goes before."""
    max_pods: Annotated[int, Field(ge=1, le=1000)] = 110
    """Most pods on a node; `network.node_mask` must have addresses for them."""
    drain_seconds: Annotated[int, Field(ge=1, le=86400)] = 300
    """Seconds that pods have to move away from a node that leaves; PodDisruptionBudgets are respected."""
    config: dict[str, object] = Field(default_factory=dict)
    """Further fields of KubeletConfiguration, taken over as they are."""
    extra_flags: Flags = Field(default_factory=dict)
    """Further flags, without their dashes: `{v: "2"}`."""


class Rollout(Model):
    """How changes of workers go round; control plane and balancers always change one after the other."""

    max_unavailable: Share = "1"
    """How many workers may change at once: a number, or a percentage of all workers, rounded down, one at least."""
    canaries: Annotated[int, Field(ge=1, le=100)] = 1
    """How many workers change before the others, one after the other. If one fails, no other is touched."""
    drain: bool = False
    """Pods move away from a worker before something of it changes that its pods may feel, for
    `kubelet.drain_seconds`; afterwards it takes pods again, unless somebody else had cordoned it."""
    before: Program | None = None
    """A program on the worker that runs, as root, before it changes; if it fails, the worker is not touched."""
    before_uncordon: Program | None = None
    """The same, when a worker that was drained has changed and is proven, before it takes pods again. If it fails, the
    worker stays cordoned, and the next apply runs it again."""
    after: Program | None = None
    """The same, when it has changed, is proven, and takes pods."""
    pause_seconds: Annotated[int, Field(ge=0, le=86400)] = 0
    """Seconds between a worker that has changed and the next."""

    def width(self, workers: int) -> int:
        """How many of that many workers may change at once."""
        number = int(self.max_unavailable.rstrip("%"))
        return max(1, workers * number // 100) if self.max_unavailable.endswith("%") else number


class Pki(Model):
    """Keys and certificates."""

    algorithm: Literal["ecdsa-p256", "rsa-2048", "rsa-3072", "rsa-4096"] = "ecdsa-p256"
    """Algorithm of all keys."""
    leaf_days: Annotated[int, Field(ge=1, le=3650)] = 365
    """Life of a certificate, in days."""
    ca_days: Annotated[int, Field(ge=2, le=36500)] = 3650
    """Life of a certificate authority, in days."""
    renew_before_days: Annotated[int, Field(ge=0, le=3650)] = 60
    """`plan` shows a renewal when a certificate has fewer days left."""


class Proxy(Model):
    """A proxy for what hosts fetch from outside: images and packages. Nothing inside the cluster goes through it."""

    url: ProxyUrl
    """Where it is: `http://10.77.1.5:3128`."""
    login_file: File | None = None
    """File (mode 0600) with `USER:PASSWORD`, or `env:NAME`, which names a variable."""
    no_proxy: tuple[Direct, ...] = ()
    """What else is asked without it, such as a registry's name; the cluster's own addresses and networks always are."""


class Os(Model):
    """Preparation of the hosts."""

    hostname: bool = True
    """Set the machine's host name."""
    hosts_file: bool = True
    """Keep a block with all hosts in /etc/hosts."""
    swap: Literal["off", "keep"] = "off"
    """`off` switches swap off, now and at boot."""
    firewall: Literal["open-ports", "off", "keep"] = "open-ports"
    """`open-ports` lets the needed ports in, never SSH; `off` stops the host's firewall, `keep` touches nothing."""
    selinux: Literal["keep", "permissive"] = "keep"
    """`permissive` makes SELinux warn instead of refuse."""
    time_sync: Literal["require", "install", "ignore"] = "install"
    """`install` puts chrony on hosts without a time daemon, `require` refuses them."""
    ntp_servers: tuple[DnsName, ...] = ()
    """Whom chrony or systemd-timesyncd ask for the time, whichever runs; beside what the host's own files name."""
    proxy: Proxy | None = None
    """The way out of hosts that have no other: image pulls and the package manager go through it."""
    sysctl: dict[Sysctl, Text] = Field(default_factory=dict)
    """Further kernel settings."""


class Artifacts(Model):
    """Where binaries come from."""

    source: Literal["auto", "release", "directory", "debian", "modules"] = "auto"
    """`release`: upstream's; `directory`: a folder; `debian`: Debian packages; `modules`: built here from Go modules;
    `auto`: the first of them that can deliver all."""
    directory: File | None = None
    """Folder of binaries with a SHA256SUMS file, or of such folders for each version, for `directory`."""
    mirrors: dict[Part, Url] = Field(default_factory=dict)
    """URL prefixes instead of upstream's, for `release`."""
    cache: File | None = None
    """Cache folder (default: ~/.cache/quorate/artifacts)."""
    images: tuple[File, ...] = ()
    """Image archives (docker save / OCI tar) to load on every worker."""
    packages: Literal["auto", "distribution", "bundle"] = "auto"
    """`distribution`: the host's own mirrors; `bundle`: the artifact source; `auto`: the source if it has them."""


class Verify(Model):
    """What `verify` runs in the cluster."""

    image: Image = "docker.io/library/busybox:1.36"
    """Image of the test pods; needs sh, httpd, wget and nslookup."""


class StateFolder(Model):
    """The sealed copies of the state folder that the etcd hosts keep; `quorate adopt` brings one back."""

    copies: bool = True
    """Whether they are kept. They need a passphrase (`quorate passphrase`) or recipients."""
    recipients: tuple[Recipient, ...] = ()
    """Public keys, of age or ssh-ed25519, whose owners can open a copy without the passphrase."""


class Keep(Model):
    """Which backups stay: the newest of them, and all of the last days. The last proved one always does."""

    count: Annotated[int, Field(ge=1, le=10000)] = 14
    """How many of the newest stay, whatever their age."""
    days: Annotated[int, Field(ge=0, le=3650)] = 30
    """Those of so many days stay, however many they are."""


class SshPlace(Model):
    """A folder of a host that is reached by SSH."""

    host: DnsName
    """Its address or name."""
    user: UserName = "root"
    """Login user; sudo is not used."""
    port: Port = 22
    """sshd's port."""
    path: Data
    """The folder there."""
    key: File
    """Private key file without a passphrase; with a schedule, the etcd hosts get it."""
    known_hosts: File
    """File with its pinned host keys, as OpenSSH keeps them."""


class S3Place(Model):
    """A bucket of a store that speaks S3."""

    endpoint: Url
    """Where the store is: `https://s3.example.org`."""
    bucket: Bucket
    """Name of the bucket; it must exist."""
    prefix: Prefix = ""
    """What the names of our objects begin with, before a `/`."""
    region: Region = "us-east-1"
    """Region that requests are signed for."""
    login_file: File
    """File (mode 0600) with `ACCESS_KEY:SECRET_KEY`, or `env:NAME`; with a schedule, the etcd hosts get it."""
    ca_file: File | None = None
    """PEM of the authority that signed the store's certificate, where nobody trusts that anyway."""


class Place(Model):
    """Where backups are kept besides the etcd hosts: exactly one of the three."""

    folder: File | None = None
    """A folder of the machine that runs quorate."""
    ssh: SshPlace | None = None
    """A folder of another host."""
    s3: S3Place | None = None
    """A bucket."""


class Backup(Model):
    """Backups of the cluster: etcd's data with the keys that read them, sealed; see [backup](tasks/backup.md)."""

    schedule: Calendar = ""
    """When an etcd host takes one by itself, as systemd's OnCalendar: `*-*-* 02:30:00 UTC`. Empty: only
    `quorate backup` does."""
    folder: Data = BACKUPS
    """Folder on the etcd hosts, where backups are made and scheduled ones kept."""
    keep: Keep = Keep()
    """Which ones stay, on the etcd hosts and at each place; without it and without a schedule all do. In the folder
    beside the cluster file all do without it."""
    places: tuple[Place, ...] = ()
    """Where each backup is brought to besides."""
    recipients: tuple[Recipient, ...] = ()
    """Public keys, of age or ssh-ed25519, whose owners can open a backup without the passphrase (default:
    `state.recipients`)."""
    overdue_hours: Annotated[int, Field(ge=1, le=8760)] = 26
    """`status` has a problem when the newest backup is older than so many hours, with a schedule."""
    proved_within_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """`status` warns when for so many days nobody has opened a backup and proved it."""
