"""What is built together out of which modules, and how each program learns its version; a table, and no IO."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from quorate.artifact.binary import REQUIRED
from quorate.core import ArtifactError
from quorate.spec.versions import parts


@dataclass(frozen=True)
class Family:
    """Programs of one version that share their packages: one lock, one build."""

    part: str
    """The part's name in `versions` of the cluster file."""
    modules: tuple[str, ...]
    """All have the family's version; the sum of the first one stands for a commit."""
    programs: Mapping[str, str]
    """Import path of the main package by the binary's name."""
    stamps: Mapping[str, str]
    """Variables set by the linker: `{v}` is the version, `{major}` and `{minor}` its numbers, `{sum}` the sum."""
    tags: tuple[str, ...] = ()
    cgo: bool = False
    """Needs a C compiler; linked statically all the same."""
    locked: tuple[str, ...] = field(default=())
    """Further packages whose modules the lock holds, for families that share it."""
    tests: bool = False
    """Its programs are the tests of their packages."""
    lock: str = ""
    """The part whose lock it shares, at the same version."""

    def packages(self) -> tuple[str, ...]:
        """Import paths that the lock must satisfy."""
        return (*self.programs.values(), *self.locked)


KUBERNETES = "k8s.io/kubernetes"
_VERSION = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_STAMPS = {
    "gitVersion": "v{v}",
    "gitMajor": "{major}",
    "gitMinor": "{minor}",
    # The tree that a module's archive holds, and its sum: there is no git commit to tell.
    "gitTreeState": "archive",
    "gitCommit": "{sum}",
}
_TAGS = ("selinux", "notest", "grpcnotrace")
"""Upstream's own, which its release builds use (hack/lib/golang.sh)."""
_CNI = {
    "ipam": ("dhcp", "host-local", "static"),
    "main": ("bridge", "dummy", "host-device", "ipvlan", "loopback", "macvlan", "ptp", "tap", "vlan"),
    "meta": ("bandwidth", "firewall", "portmap", "sbr", "tuning", "vrf"),
}
_STATIC = ("osusergo", "netgo")


def family(part: str, version: str) -> Family:
    """The family of a part at a version. Raises `ArtifactError` for a part that is not built from modules."""
    if part in _BY_VERSION:
        return _BY_VERSION[part](version)
    if part not in _FAMILIES:
        raise ArtifactError(f"{part} is not built from Go modules", f"parts: {', '.join(BUILDABLE)}")
    return _FAMILIES[part]


def _containerd(version: str) -> Family:
    module = "github.com/containerd/containerd" + ("/v2" if parts(version) >= (2, 0) else "")
    names = ("containerd", "containerd-shim-runc-v2", "ctr")
    return Family(
        part="containerd",
        modules=(module,),
        programs={name: f"{module}/cmd/{name}" for name in names},
        stamps={f"{module}/version.Version": "v{v}", f"{module}/version.Revision": "{sum}"},
        tags=(*_STATIC, "static_build"),
    )


def _runc(version: str) -> Family:
    # From 1.3 on the version is embedded.
    stamp = {} if parts(version) >= (1, 3) else {"main.version": "{v}"}
    return Family(
        part="runc",
        modules=("github.com/opencontainers/runc",),
        programs={"runc": "github.com/opencontainers/runc"},
        stamps={"main.gitCommit": "{sum}", **stamp},
        tags=("seccomp", "urfave_cli_no_docs", *_STATIC),
        cgo=True,
    )


_BY_VERSION: Mapping[str, Callable[[str], Family]] = {"containerd": _containerd, "runc": _runc}
_FAMILIES: Mapping[str, Family] = {
    one.part: one
    for one in (
        Family(
            part="kubernetes",
            modules=(KUBERNETES,),
            programs={name: f"{KUBERNETES}/cmd/{name}" for name in REQUIRED["kubernetes"]},
            stamps={f"{where}.{name}": value for where in _VERSION for name, value in _STAMPS.items()},
            tags=_TAGS,
            locked=(f"{KUBERNETES}/test/images/agnhost", f"{KUBERNETES}/test/e2e"),
        ),
        # The server of Kubernetes' own tests. It knows no version: Kubernetes' stands for it.
        Family(
            part="agnhost",
            modules=(KUBERNETES,),
            programs={"agnhost": f"{KUBERNETES}/test/images/agnhost"},
            stamps={},
            lock="kubernetes",
        ),
        # Programs that some of the tests start in images of their own.
        Family(
            part="test_programs",
            modules=(KUBERNETES,),
            programs={
                "nnp": f"{KUBERNETES}/test/images/nonewprivs",
                "regression-issue-74839": f"{KUBERNETES}/test/images/regression-issue-74839",
            },
            stamps={},
            lock="kubernetes",
        ),
        # The server that the aggregation's test starts. Its versions are Kubernetes' with a 0 before the minor's.
        Family(
            part="sample_apiserver",
            modules=("k8s.io/sample-apiserver",),
            programs={"sample-apiserver": "k8s.io/sample-apiserver"},
            stamps={},
        ),
        # The suite by which the CNCF judges. It tells its version, and chooses images by it.
        Family(
            part="e2e",
            modules=(KUBERNETES,),
            programs={"e2e.test": f"{KUBERNETES}/test/e2e"},
            stamps={f"{_VERSION[0]}.{name}": value for name, value in _STAMPS.items()},
            tags=_TAGS,
            tests=True,
            lock="kubernetes",
        ),
        Family(
            part="etcd",
            modules=tuple(f"go.etcd.io/etcd/{name}/v3" for name in ("server", "etcdctl", "etcdutl")),
            programs={
                "etcd": "go.etcd.io/etcd/server/v3",
                "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
                "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
            },
            # The version itself is a constant of its source.
            stamps={"go.etcd.io/etcd/api/v3/version.GitSHA": "{sum}"},
        ),
        Family(
            part="cni_plugins",
            modules=("github.com/containernetworking/plugins",),
            programs={
                name: f"github.com/containernetworking/plugins/plugins/{kind}/{name}"
                for kind, names in _CNI.items()
                for name in names
            },
            stamps={"github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion": "v{v}"},
        ),
        Family(
            part="crictl",
            modules=("sigs.k8s.io/cri-tools",),
            programs={"crictl": "sigs.k8s.io/cri-tools/cmd/crictl"},
            stamps={"sigs.k8s.io/cri-tools/pkg/version.Version": "{v}"},
        ),
        Family(
            part="coredns",
            modules=("github.com/coredns/coredns",),
            programs={"coredns": "github.com/coredns/coredns"},
            stamps={"github.com/coredns/coredns/coremain.GitCommit": "{sum}"},
            tags=("grpcnotrace",),
        ),
        # What hosts seal backups with.
        Family(
            part="age",
            modules=("filippo.io/age",),
            programs={"age": "filippo.io/age/cmd/age"},
            stamps={"main.Version": "v{v}"},
        ),
        Family(
            part="metrics_server",
            modules=("sigs.k8s.io/metrics-server",),
            programs={"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
            stamps={f"{_VERSION[1]}.{name}": value for name, value in _STAMPS.items()}
            | {f"{_VERSION[0]}.{name}": value for name, value in _STAMPS.items()},
        ),
    )
}

BUILDABLE = tuple(sorted((*(part for part, one in _FAMILIES.items() if not one.lock), *_BY_VERSION)))
"""The parts that can be built, each from a lock of its own."""
