"""What runs on the hosts of a lab, by the word of the programs themselves and of the API."""

from collections.abc import Mapping
from dataclasses import dataclass

from course import Site

SERVICES = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "containerd"),
    *("haproxy", "keepalived"),
)
ASK = f"""for u in {" ".join(SERVICES)}; do
  p=$(systemctl show -p MainPID --value $u.service); [ "${{p:-0}}" != 0 ] || continue
  v=$(timeout 20 /proc/$p/exe --version 2>/dev/null | grep -oE '[0-9]+\\.[0-9]+\\.[0-9]+' | head -n 1)
  echo "$u $(systemctl show -p ExecMainStartTimestampMonotonic --value $u.service) \\
    $(sha256sum </proc/$p/exe | cut -c 1-16) ${{v:-none}}"
done"""
NODES_ARE = """kubectl get nodes -o jsonpath='{range .items[*]}{.metadata.name} {.status.nodeInfo.kubeletVersion} """
NODES_ARE += """{.spec.unschedulable}{"\\n"}{end}'"""


@dataclass(frozen=True)
class Program:
    """A service as it runs."""

    started: str
    digest: str
    version: str


@dataclass(frozen=True)
class Running:
    """What runs now, by the programs' and the API's own word."""

    programs: Mapping[str, Mapping[str, Program]]
    """By host and service."""
    nodes: Mapping[str, str]
    """The kubelet's version by node."""
    cordoned: tuple[str, ...]

    def same_programs(self, other: "Running", host: str) -> bool:
        """Whether a host runs the same, however often it was started."""
        return _kinds(self.programs[host]) == _kinds(other.programs[host])


def _kinds(programs: Mapping[str, Program]) -> Mapping[str, tuple[str, str]]:
    return {name: (each.digest, each.version) for name, each in programs.items()}


def running(site: Site) -> Running:
    """Ask everybody."""
    cluster = site.cluster
    told = site.run(ASK, *(host.name for host in cluster.hosts))
    programs = {host: dict(map(_program, text.splitlines())) for host, text in told.items()}
    master = next(host.name for host in cluster.masters if "kube-apiserver" in programs[host.name])
    nodes = [line.split() for line in site.run(NODES_ARE, master)[master].splitlines()]
    return Running(
        programs,
        {name: version for name, version, *_ in nodes},
        tuple(name for name, _, *cordoned in nodes if cordoned == ["true"]),
    )


def _program(line: str) -> tuple[str, Program]:
    name, *words = line.split()
    return name, Program(*words)
