"""What the user wants: the cluster file as typed, frozen values. Rules across fields live in `rules`."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
DnsName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$",
        max_length=253,
    ),
]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
Interface = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
FlagName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4096)]
Port = Annotated[int, Field(ge=1, le=65535)]
LabelKey = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
]
LabelValue = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")]
Labels = dict[LabelKey, LabelValue]
Flags = dict[FlagName, Text]


class Model(BaseModel):
    """Frozen and strict: an unknown field is an error, a string is never guessed from another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Role(StrEnum):
    """What a host does in the cluster; one host can have several."""

    CONTROL_PLANE = "control-plane"
    ETCD = "etcd"
    WORKER = "worker"
    LOAD_BALANCER = "load-balancer"


class Jump(Model):
    """A host to go through to reach the cluster's hosts."""

    host: DnsName
    port: Port = 22
    user: UserName = "root"


class Ssh(Model):
    """How to reach hosts; a host's own `ssh` overrides field by field."""

    user: UserName | None = None
    """Login user (default root). Another user needs sudo."""
    port: Port | None = None
    """sshd's port (default 22)."""
    key: Path | None = None
    """Private key file; without it the agent and the default keys are tried."""
    password_file: Path | None = None
    """File (mode 0600) with the login password; for `env:NAME` and prompts see the guide."""
    sudo_password_file: Path | None = None
    """File (mode 0600) with the sudo password, if sudo asks for one."""
    ask_password: bool = False
    """Ask for the login password on the terminal."""
    ask_sudo_password: bool = False
    """Ask for the sudo password on the terminal."""
    known_hosts: Path | None = None
    """Pinned host keys (default: `.quorate/<cluster>/known_hosts`, filled by `quorate trust`)."""
    jump: Jump | None = None
    """A jump host."""
    connect_timeout: Annotated[float, Field(gt=0, le=600)] | None = None
    """Seconds to wait for a connection (default 15)."""


class Taint(Model):
    """A taint of a node."""

    key: LabelKey
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class Host(Model):
    """One machine."""

    name: DnsLabel
    """Host name, unique; the machine is given this name unless `os.hostname` is false."""
    address: IPv4Address
    """The address by which the cluster's hosts reach it; also the SSH address unless `ssh_address` is set."""
    ssh_address: DnsName | None = None
    """Where sshd is reached from here, if that is not `address`."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    """What it does: control-plane (or master), etcd, worker, load-balancer."""
    node_name: DnsName | None = None
    """Name of the node object (default: `name`); the described recipe uses the address."""
    interface: Interface | None = None
    """Interface that carries `address` (default: found on the host)."""
    ssh: Ssh = Ssh()
    labels: Labels = {}
    """Labels of the node object (workers)."""
    taints: tuple[Taint, ...] = ()
    """Taints of the node object (workers)."""

    def has(self, role: Role) -> bool:
        """Whether the host has the role."""
        return role in self.roles

    @property
    def ip(self) -> str:
        """The address as text."""
        return str(self.address)

    @property
    def node(self) -> str:
        """Name of its node object."""
        return self.node_name or self.name


class Versions(Model):
    """Versions of the parts; the defaults follow from `kubernetes` (see the version table)."""

    kubernetes: Version = "1.36.0"
    etcd: Version | None = None
    containerd: Version | None = None
    docker: Version | None = None
    runc: Version | None = None
    cni_plugins: Version | None = None


class Endpoint(Model):
    """Where everybody finds the API: a virtual IP of the balancers, or an address that exists already."""

    vip: IPv4Address | None = None
    """Virtual IP held by one of the load-balancer hosts."""
    address: DnsName | None = None
    """An existing address or name (a hardware balancer, DNS), instead of `vip`."""
    port: Port = 6443
    """Port of the endpoint."""
    interface: Interface | Literal["auto"] = "auto"
    """Interface for the VIP on the balancers; `auto` is the one that carries the host's address."""
    prefix: Annotated[int, Field(ge=8, le=32)] | None = None
    """Prefix length of the VIP (default: that of the host's address)."""


class LoadBalancer(Model):
    """The balancers in front of the API servers."""

    kind: Literal["nginx", "haproxy"] = "nginx"
    virtual_router_id: Annotated[int, Field(ge=1, le=255)] = 109
    """VRRP router id, unique in the network segment."""
    advert_interval: Annotated[float, Field(ge=0.01, le=40)] = 0.1
    """Seconds between VRRP advertisements; the backup takes over after about 3 of them."""
    connect_timeout_ms: Annotated[int, Field(ge=10, le=60000)] = 250
    """Milliseconds to connect to an API server before the next is tried."""


class Runtime(Model):
    """The container runtime of the workers."""

    kind: Literal["containerd", "docker"] = "containerd"
    """`docker` is possible up to Kubernetes 1.23."""
    pause_image: Text | None = None
    """Sandbox image (default: the version's own, or the artifact source's)."""
    registry_mirrors: dict[DnsName, tuple[Text, ...]] = {}
    """Mirrors by registry, such as `docker.io: [https://mirror.example]`."""
    insecure_registries: tuple[Text, ...] = ()
    log_max_size: Annotated[str, StringConstraints(pattern=r"^[0-9]+[kKmMgG]i?$")] = "50Mi"
    """Size at which a container's log is rotated."""
    log_max_files: Annotated[int, Field(ge=2, le=100)] = 5


class Network(Model):
    """Pod and service networks."""

    pod_cidr: IPv4Network = IPv4Network("10.244.0.0/16")
    service_cidr: IPv4Network = IPv4Network("10.96.0.0/16")
    node_mask: Annotated[int, Field(ge=16, le=30)] = 24
    """Prefix length of each node's part of the pod network."""
    dns_domain: DnsName = "cluster.local"
    cni: Literal["routed", "manifest", "none"] = "routed"
    """`routed`: bridge and routes kept by quorate. `manifest`: any CNI's YAML. `none`: you bring it."""
    manifest: Text | None = None
    """Path or URL of the CNI's YAML, for `cni: manifest`."""
    node_ports: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}-[0-9]{1,5}$")] = "30000-32767"
    proxy_mode: Literal["iptables", "ipvs", "nftables"] = "iptables"
    mtu: Annotated[int, Field(ge=576, le=9216)] | None = None
    """MTU of pod interfaces (default: the host's)."""


class Dns(Model):
    """Cluster DNS (CoreDNS)."""

    enabled: bool = True
    image: Text | None = None
    """CoreDNS image (default: the version's own, from registry.k8s.io)."""
    replicas: Annotated[int, Field(ge=1, le=100)] = 2


class Etcd(Model):
    """The quorum store."""

    heartbeat_ms: Annotated[int, Field(ge=10, le=5000)] = 50
    election_ms: Annotated[int, Field(ge=50, le=50000)] = 500
    data_dir: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]+$")] = "/var/lib/etcd"
    quota_bytes: Annotated[int, Field(ge=2**28, le=2**34)] = 8 * 2**30
    extra_flags: Flags = {}


class ApiServer(Model):
    """kube-apiserver."""

    port: Port = 6443
    """Port on each control-plane host."""
    extra_sans: tuple[DnsName, ...] = ()
    """Further names and addresses for its certificate."""
    audit_policy: Path | None = None
    """Your own audit policy (default: metadata of writes, nothing of secrets' content)."""
    encrypt_secrets: bool = True
    """Encryption of Secret objects at rest in etcd."""
    extra_flags: Flags = {}


class Daemon(Model):
    """A component with nothing but extra flags."""

    extra_flags: Flags = {}


class Kubelet(Model):
    """kubelet."""

    max_pods: Annotated[int, Field(ge=1, le=1000)] = 110
    config: dict[str, object] = {}
    """Further fields of KubeletConfiguration, taken over as they are."""
    extra_flags: Flags = {}


class Pki(Model):
    """Keys and certificates."""

    algorithm: Literal["ecdsa-p256", "rsa-2048", "rsa-3072", "rsa-4096"] = "ecdsa-p256"
    leaf_days: Annotated[int, Field(ge=1, le=3650)] = 365
    ca_days: Annotated[int, Field(ge=2, le=36500)] = 3650
    renew_before_days: Annotated[int, Field(ge=0, le=3650)] = 60
    """`plan` shows a renewal when a certificate has fewer days left."""


class Os(Model):
    """Preparation of the hosts."""

    hostname: bool = True
    """Set the machine's host name."""
    hosts_file: bool = True
    """Keep a block with all hosts in /etc/hosts."""
    swap: Literal["off", "keep"] = "off"
    firewall: Literal["open-ports", "off", "keep"] = "open-ports"
    """`open-ports` lets the needed ports in, `off` stops the host's firewall, `keep` touches nothing."""
    selinux: Literal["keep", "permissive"] = "keep"
    time_sync: Literal["require", "install", "ignore"] = "install"
    """`install` puts chrony on hosts without a time daemon, `require` refuses them."""
    sysctl: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+([./][A-Za-z0-9_-]+)+$")], Text] = {}


class Artifacts(Model):
    """Where binaries come from."""

    source: Literal["auto", "release", "directory", "debian"] = "auto"
    directory: Path | None = None
    """Folder of binaries with a SHA256SUMS file, for `directory`."""
    mirrors: dict[Literal["kubernetes", "etcd", "containerd", "docker", "runc", "cni_plugins"], Text] = {}
    """URL prefixes instead of upstream's, for `release`."""
    cache: Path | None = None
    """Cache folder (default: ~/.cache/quorate/artifacts)."""
    images: tuple[Path, ...] = ()
    """Image archives (docker save / OCI tar) to load on every worker."""
    packages: Literal["distribution", "bundle"] = "distribution"
    """`bundle`: distribution packages come from the artifact source instead of the host's own mirrors."""


class Verify(Model):
    """What `verify` runs in the cluster."""

    image: Text = "docker.io/library/busybox:1.36"
    """Image of the test pods; needs sh, httpd, wget and nslookup."""


class Cluster(Model):
    """A whole cluster, as the user wants it."""

    name: DnsLabel
    """Name of the cluster; also of its state folder."""
    versions: Versions = Versions()
    hosts: Annotated[tuple[Host, ...], Field(min_length=1)]
    ssh: Ssh = Ssh()
    endpoint: Endpoint = Endpoint()
    load_balancer: LoadBalancer = LoadBalancer()
    runtime: Runtime = Runtime()
    network: Network = Network()
    dns: Dns = Dns()
    etcd: Etcd = Etcd()
    apiserver: ApiServer = ApiServer()
    controller_manager: Daemon = Daemon()
    scheduler: Daemon = Daemon()
    kubelet: Kubelet = Kubelet()
    proxy: Daemon = Daemon()
    pki: Pki = Pki()
    os: Os = Os()
    artifacts: Artifacts = Artifacts()
    verify: Verify = Verify()

    def having(self, role: Role) -> tuple[Host, ...]:
        """The hosts that have a role, in the order of the file."""
        return tuple(host for host in self.hosts if host.has(role))

    @property
    def masters(self) -> tuple[Host, ...]:
        """The control-plane hosts."""
        return self.having(Role.CONTROL_PLANE)

    @property
    def members(self) -> tuple[Host, ...]:
        """The etcd hosts."""
        return self.having(Role.ETCD)

    @property
    def workers(self) -> tuple[Host, ...]:
        """The hosts that run pods."""
        return self.having(Role.WORKER)

    @property
    def balancers(self) -> tuple[Host, ...]:
        """The load-balancer hosts; the first is preferred for the VIP."""
        return self.having(Role.LOAD_BALANCER)

    def host(self, name: str) -> Host:
        """The host of that name. Raises KeyError when there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    @property
    def server(self) -> str:
        """Address or name of the API endpoint: VIP, existing address, or the only master."""
        return str(self.endpoint.vip or self.endpoint.address or self.masters[0].address)

    @property
    def server_port(self) -> int:
        """Port of the API endpoint."""
        fronted = self.endpoint.vip or self.endpoint.address
        return self.endpoint.port if fronted else self.apiserver.port

    @property
    def server_url(self) -> str:
        """URL of the API endpoint."""
        return f"https://{self.server}:{self.server_port}"

    @property
    def service_ip(self) -> str:
        """Address of the `kubernetes` service: the first of the service network."""
        return str(self.network.service_cidr[1])

    @property
    def dns_ip(self) -> str:
        """Address of the DNS service: the second of a small service network, else the tenth."""
        cidr = self.network.service_cidr
        return str(cidr[2] if cidr.num_addresses <= 256 else cidr[10])
