"""The first cluster file: what `quorate init` writes. The live lines are the least that is needed."""

import re

from quorate.core import Problem, SpecError
from quorate.spec.cluster import Cluster
from quorate.spec.words import DNS_LABEL

_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
"""Names that YAML, by its version, reads as something else."""

_TEXT = """\
# A highly available Kubernetes cluster. Every field: docs/reference.md. Paths start at this file's folder.
name: {name}

hosts: # replace the addresses; a host can have several roles
  - {{name: master01, address: 192.168.109.131, roles: [control-plane, etcd, load-balancer]}}
  - {{name: master02, address: 192.168.109.132, roles: [control-plane, etcd, load-balancer]}}
  - {{name: master03, address: 192.168.109.133, roles: [control-plane, etcd]}}
  - {{name: node01, address: 192.168.109.141, roles: [worker]}}
  - {{name: node02, address: 192.168.109.142, roles: [worker]}}

endpoint: # where no virtual IP can be (clouds): `local: true` alone, and no load-balancer above
  vip: 192.168.109.200 # a free address in the network of the load-balancer hosts
  port: 8443 # 6443 is free only where balancers are hosts of their own

versions:
  kubernetes: "{kubernetes}" # in quotes: 1.30 is a number to YAML

# All below is commented out and shows the defaults.
# ssh: # any host can override it: `ssh: {{user: admin}}`
#   user: root # another user needs sudo
#   port: 22
#   key: ~/.ssh/id_ed25519 # without it: the agent and the usual keys
#   password_file: ssh-password # mode 0600
# load_balancer:
#   kind: {balancer} # or haproxy
# runtime:
#   kind: {runtime} # or docker, up to Kubernetes 1.23
# network:
#   pod_cidr: {pods}
#   service_cidr: {services}
#   cni: {cni} # or manifest, none
#   profile: {profile} # or wan: clocks for hosts that are 50 ms apart
# pki:
#   algorithm: {algorithm}
#   leaf_days: {days}
# os:
#   firewall: {firewall} # or off, keep
#   time_sync: {time} # or require, ignore
# artifacts:
#   source: {source} # or release, directory, debian
"""


def starter(name: str = "my-cluster") -> str:
    """Text of a commented cluster file that loads as it is. Raises `SpecError` when `name` is no DNS label."""
    if not re.fullmatch(DNS_LABEL.pattern, name):
        problem = Problem("name", 0, "name", ascii(name)[1:-1], DNS_LABEL.rule, DNS_LABEL.fix)
        raise SpecError(f"{name!a} is no name for a cluster", DNS_LABEL.fix, [problem])
    hosts = [{"name": "x", "address": "192.0.2.1", "roles": ["worker"]}]
    defaults = Cluster.model_validate({"name": name, "hosts": hosts})
    return _TEXT.format(
        name=f'"{name}"' if name[0].isdigit() or name in _WORDS else name,
        kubernetes=defaults.versions.kubernetes,
        balancer=defaults.load_balancer.kind,
        runtime=defaults.runtime.kind,
        pods=defaults.network.pod_cidr,
        services=defaults.network.service_cidr,
        cni=defaults.network.cni,
        profile=defaults.network.profile,
        algorithm=defaults.pki.algorithm,
        days=defaults.pki.leaf_days,
        firewall=defaults.os.firewall,
        time=defaults.os.time_sync,
        source=defaults.artifacts.source,
    )
