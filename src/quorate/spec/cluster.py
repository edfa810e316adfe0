"""What the user wants: the cluster file as typed, frozen values. Rules across fields live in `rules`."""

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field

from quorate.spec.kinds import (
    Data,
    DnsLabel,
    DnsName,
    File,
    Interface,
    LabelKey,
    Labels,
    LabelValue,
    Model,
    Port,
    Role,
    RoleName,
    UserName,
)
from quorate.spec.layout import KUBELET_DIR
from quorate.spec.sections import (
    ApiServer,
    Artifacts,
    Backup,
    Daemon,
    Dns,
    Endpoint,
    Etcd,
    Kubelet,
    LoadBalancer,
    Metrics,
    Network,
    Os,
    Pki,
    Rollout,
    Runtime,
    StateFolder,
    Verify,
    Versions,
)

__all__ = [
    "ApiServer",
    "Artifacts",
    "Backup",
    "Cluster",
    "Daemon",
    "Dns",
    "Endpoint",
    "Etcd",
    "Host",
    "Jump",
    "Kubelet",
    "LoadBalancer",
    "Metrics",
    "Network",
    "Os",
    "Pki",
    "Role",
    "Rollout",
    "Runtime",
    "Ssh",
    "StateFolder",
    "Taint",
    "Verify",
    "Versions",
]

LOOPBACK = "127.0.0.1"
RUNTIMES: Mapping[str, str] = {"containerd": "/var/lib/containerd", "docker": "/var/lib/docker"}
"""Where each container runtime keeps images and containers by itself."""


class Jump(Model):
    """A host to go through to reach the cluster's hosts; with a key or a password of its own it is offered no other."""

    host: DnsName
    """Its address or name."""
    port: Port = 22
    """sshd's port."""
    user: UserName = "root"
    """Login user."""
    key: File | None = None
    """Its private key file (default: what the hosts behind it are offered)."""
    password_file: File | None = None
    """File (mode 0600) with its login password, or `env:NAME`."""
    ask_password: bool = False
    """Ask for its login password on the terminal."""


class Ssh(Model):
    """How to reach hosts; a host's own `ssh` overrides field by field."""

    user: UserName | None = None
    """Login user (default root). Another user needs sudo."""
    port: Port | None = None
    """sshd's port (default 22)."""
    key: File | None = None
    """Private key file; without it the agent and the default keys are tried."""
    password_file: File | None = None
    """File (mode 0600) with the login password; for `env:NAME` and prompts see the guide."""
    sudo_password_file: File | None = None
    """File (mode 0600) with the sudo password, if sudo asks for one."""
    ask_password: bool = False
    """Ask for the login password on the terminal."""
    ask_sudo_password: bool = False
    """Ask for the sudo password on the terminal."""
    known_hosts: File | None = None
    """Pinned host keys (default: `.quorate/<cluster>/known_hosts`, filled by `quorate trust`)."""
    jump: Jump | None = None
    """A jump host."""
    connect_timeout: Annotated[float, Field(gt=0, le=600)] | None = None
    """Seconds to wait for a connection (default 15)."""


class Taint(Model):
    """A taint of a node."""

    key: LabelKey
    """Key of the taint."""
    value: LabelValue = ""
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"
    """What happens to pods that don't tolerate it."""


class Host(Model):
    """One machine."""

    name: DnsLabel
    """Host name, unique; the machine is given this name unless `os.hostname` is false."""
    address: IPv4Address
    """The address by which the cluster's hosts reach it; also the SSH address unless `ssh_address` is set."""
    ssh_address: DnsName | None = None
    """Where sshd is reached from here, if that is not `address`."""
    roles: Annotated[tuple[RoleName, ...], Field(min_length=1)]
    """What it does: control-plane (or master), etcd, worker, load-balancer."""
    node_name: DnsName | None = None
    """Name of the node object (default: `name`); the described recipe uses the address."""
    interface: Interface | None = None
    """Interface that carries `address` (default: found on the host)."""
    vip_interface: Interface | None = None
    """Interface for the VIP on this balancer, where it is not `endpoint.interface`."""
    ssh: Ssh = Ssh()
    """What differs from the cluster's `ssh`."""
    labels: Labels = Field(default_factory=dict)
    """Labels of the node object (workers): any key but those that its kubelet writes itself."""
    runtime_dir: Data | None = None
    """Its folder of images and containers, instead of `runtime.data_dir`."""
    kubelet_dir: Data | None = None
    """Its folder of pods' volumes, instead of `kubelet.data_dir`."""
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
    metrics: Metrics = Metrics()
    etcd: Etcd = Etcd()
    apiserver: ApiServer = ApiServer()
    controller_manager: Daemon = Daemon()
    scheduler: Daemon = Daemon()
    kubelet: Kubelet = Kubelet()
    proxy: Daemon = Daemon()
    rollout: Rollout = Rollout()
    pki: Pki = Pki()
    os: Os = Os()
    artifacts: Artifacts = Artifacts()
    state: StateFolder = StateFolder()
    backup: Backup = Backup()
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

    @property
    def balancing(self) -> tuple[Host, ...]:
        """The hosts that run a balancer."""
        return tuple(host for host in self.hosts if self.balances(host))

    def balances(self, host: Host) -> bool:
        """Whether a host runs a balancer: by its role, or with `endpoint.local` each that uses the API, for itself."""
        if self.endpoint.local:
            return host.has(Role.WORKER) or host.has(Role.CONTROL_PLANE)
        return host.has(Role.LOAD_BALANCER)

    @property
    def balancer_port(self) -> int:
        """The port on which balancers listen."""
        return self.endpoint.local_port if self.endpoint.local else self.endpoint.port

    @property
    def vip_moves(self) -> bool:
        """Whether there is a virtual IP, and more than one balancer to hold it."""
        return self.endpoint.vip is not None and len(self.balancers) > 1

    def host(self, name: str) -> Host:
        """The host of that name. Raises KeyError when there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    @property
    def front(self) -> str:
        """Where the API endpoint is: VIP, existing address (or name), or the first master."""
        return str(self.endpoint.vip or self.endpoint.address or self.masters[0].address)

    @property
    def server(self) -> str:
        """What kubeconfigs call the API endpoint: its name, if it has one besides."""
        return self.endpoint.name or self.front

    @property
    def hosts_line(self) -> str:
        """The endpoint's line in the hosts' /etc/hosts; empty where it has none."""
        endpoint = self.endpoint
        written = endpoint.name and endpoint.name_in_hosts and self.os.hosts_file
        return f"{self.front} {endpoint.name}" if written else ""

    @property
    def server_port(self) -> int:
        """Port of the API endpoint."""
        fronted = self.endpoint.vip or self.endpoint.address
        return self.endpoint.port if fronted else self.apiserver.port

    @property
    def server_url(self) -> str:
        """URL of the API endpoint, for clients outside."""
        return f"https://{self.server}:{self.server_port}"

    @property
    def node_url(self) -> str:
        """By which URL workers and masters find the API: the endpoint's, or that of each one's own balancer."""
        return f"https://{LOOPBACK}:{self.balancer_port}" if self.endpoint.local else self.server_url

    def runtime_dir(self, host: Host) -> str:
        """A worker's folder of images and containers."""
        return host.runtime_dir or self.runtime.data_dir or RUNTIMES[self.runtime.kind]

    def kubelet_dir(self, host: Host) -> str:
        """A worker's folder of pods' volumes."""
        return host.kubelet_dir or self.kubelet.data_dir or KUBELET_DIR

    @property
    def service_ip(self) -> str:
        """Address of the `kubernetes` service: the first of the service network."""
        return str(self.network.service_cidr[1])

    @property
    def dns_ip(self) -> str:
        """Address of the DNS service: the file's, or the second of a small service network, else the tenth."""
        cidr = self.network.service_cidr
        return str(self.dns.address or (cidr[2] if cidr.num_addresses <= 256 else cidr[10]))
