"""Judge of what others left: the data of another cluster, which an apply would break or be broken by."""

from collections.abc import Mapping

from quorate.component.context import address
from quorate.pki import profiles
from quorate.preflight.check import Question, Verdict, World, failed, passed, unchecked, warned
from quorate.render.sh import sh
from quorate.spec import layout, pki_files
from quorate.spec.cluster import Host, Role

AUTHORITIES: Mapping[str, str] = {pki_files.CA: "ca.crt", profiles.ETCD_CA: "etcd-ca.crt"}
"""Where a host keeps the CAs of its cluster, and their ids in ours."""
KUBEADM = (f"{layout.KUBERNETES}/admin.conf", f"{layout.KUBERNETES}/kubelet.conf")
"""What kubeadm writes, and nobody else."""
OTHERS = {
    "/var/lib/rancher/k3s": "k3s k3s-agent",
    "/var/lib/rancher/rke2": "rke2-server rke2-agent",
    "/var/lib/k0s": "k0scontroller k0sworker",
    "/var/snap/microk8s": "snap.microk8s.daemon-kubelite",
}
"""Folders of other distributions, and their services."""


def _ask(world: World, host: Host) -> str:
    if world.settled(host):
        return ""
    looks = "\n".join(
        f"if [ -d {folder} ]; then echo found {folder} $(systemctl is-active {services} | grep -x active | sort -u); fi"
        for folder, services in OTHERS.items()
    )
    return f"""\
echo asked
{sh("sha256sum", *AUTHORITIES)}
for f in {sh(*KUBEADM)}; do if [ -e $f ]; then echo kubeadm $f; fi; done
{looks}"""


DATA = Question("data", _ask)


def data(world: World, host: Host) -> Verdict | None:
    """Nothing of another cluster is on a host that is new in this one. Ours has our CAs beside it."""
    if world.settled(host):
        return None
    lines = [line.split() for line in world.said(host, DATA.name).splitlines()]
    if ["asked"] not in lines:
        return unchecked()
    facts, pems = world.facts(host), world.context.secrets
    if not pems.pems:
        return unchecked("without a plan our keys are not known")
    sums = {words[1]: words[0] for words in lines if len(words) == 2 and words[1] in AUTHORITIES}
    strange = [path for path, digest in sums.items() if digest != pems.digest(AUTHORITIES[path])]
    folder = world.cluster.etcd.data_dir
    if host.has(Role.ETCD) and facts.etcd_member and (profiles.ETCD_CA in strange or profiles.ETCD_CA not in sums):
        return failed(f"{folder} holds a member of another etcd cluster, or this one's state folder was lost")
    listed = world.context.facts.members
    if host.has(Role.ETCD) and facts.etcd_member and listed and host.ip not in {address(one) for one in listed}:
        return failed(f"{folder} holds the data of a member that etcd has removed")
    if strange and facts.running:
        runs = ", ".join(sorted(facts.running)[:4])
        return failed(f"belongs to another cluster, by {strange[0]}: {runs} run")
    if kubeadm := [words[1] for words in lines if words[:1] == ["kubeadm"]]:
        return failed(f"belongs to a cluster of kubeadm's: {', '.join(kubeadm)}")
    found = {words[1]: words[2:] == ["active"] for words in lines if words[:1] == ["found"]}
    if live := [path for path, active in found.items() if active]:
        return failed(f"belongs to another cluster, whose services run: {', '.join(live)}")
    if left := [*found, *strange, *([folder] if facts.etcd_member and not host.has(Role.ETCD) else [])]:
        return warned(f"something of another cluster is left: {', '.join(left)}")
    return passed()
