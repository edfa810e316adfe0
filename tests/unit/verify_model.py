"""A healthy cluster as far as `verify` can see it: answers to its scripts, each of which a test may spoil."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from quorate.component.settings.apiserver import ETCD_SERVERS
from quorate.execute import health, survey
from quorate.pki import profiles
from quorate.pki.issue import issue_ca, new_key
from quorate.spec import layout
from quorate.spec.cluster import LOOPBACK, Cluster, Host
from quorate.verify.env import OBJECTS

NOW = datetime.now(UTC)
CA = issue_ca("ca", "c", new_key("ecdsa-p256"), now=NOW, days=400, serial=5).decode()
SERVICE = "10.0.0.9"


def answered(texts: list[str]) -> str:
    """Answers to a list of scripts, as the host would print them."""
    return "\x02script\n" + "".join(f"\x01{number}\n{text}\n" for number, text in enumerate(texts))


def limited(node: str) -> dict[str, Any]:
    """A pod whose limits have held."""
    ends = {
        "eats": {"exitCode": 137, "reason": "OOMKilled"},
        "burns": {"exitCode": 0, "reason": "Completed", "message": "41 402\n"},
        "wide": {"exitCode": 0, "reason": "Completed"},
    }
    statuses = [{"name": name, "state": {"terminated": said}} for name, said in ends.items()]
    return {
        "metadata": {"name": f"limits-{node}"},
        "spec": {"nodeName": node},
        "status": {"phase": "Failed", "containerStatuses": statuses},
    }


class Model:
    """Answers as a healthy cluster would; `spoil` is given host and answer and may change it."""

    def __init__(self, cluster: Cluster, spoil: Callable[[str, str, str], str] = lambda _h, _s, text: text) -> None:
        self.cluster, self.spoil = cluster, spoil
        self.syntax = False
        """Whether each script is first read by sh (some 10 ms each)."""
        self.replicas = 1

    def __call__(self, host: str, script: str) -> str:
        """The answer to a script."""
        if self.syntax:
            subprocess.run(["sh", "-n"], input=script, text=True, check=True)
        return self.spoil(host, script, self._answer(self.cluster.host(host), script))

    def _answer(self, host: Host, script: str) -> str:
        c = self.cluster
        if "ActiveEnterTimestamp" in script:
            whole = "client-certificate-data" in script
            return answered([text for name, text in self._view(host).items() if whole or name in health.ASKED])
        if OBJECTS["endpoints"] in script:
            return answered([json.dumps(item) for item in self._objects().values()])
        if match := re.search(r"scale deployment web --replicas=(\d+)", script):
            self.replicas = int(match[1])
        if "get pods -l app=limits" in script:
            return json.dumps({"items": [limited(each.node) for each in c.workers]})
        if match := re.search(r"rollout status deployment/(coredns|metrics-server)", script):
            return json.dumps({"items": [self._pod(number) for number in range(2)]})
        if "get service kube-dns" in script:
            return json.dumps({"spec": {"clusterIP": c.dns_ip}})
        if "get apiservice" in script:
            return "apiservice.apiregistration.k8s.io/v1beta1.metrics.k8s.io\n"
        if "top nodes" in script:
            return "".join(f"{each.node} 52m 2% 512Mi 6%\n" for each in c.workers)
        if "get endpointslices" in script:
            endpoints = [{"addresses": [f"10.244.{number}.9"], "conditions": {"ready": True}} for number in range(2)]
            return json.dumps({"items": [{"endpoints": endpoints, "ports": [{"port": 10250}]}]})
        if "through" in script:
            return self._aggregated(script)
        if "rollout status" in script:
            return json.dumps({"items": [self._pod(number) for number in range(self.replicas)]})
        if "get service web" in script:
            return json.dumps({"spec": {"clusterIP": SERVICE, "ports": [{"nodePort": 30080}]}})
        if "/token" in script:
            return '{"status": {"token": "abc.def"}}'
        if "Authorization: Bearer" in script:
            return "200 401 "
        if "for u in" in script and '/version"' in script:
            urls = re.findall(r"https://[\w.:]+", script.split(";")[0])
            return "".join(f'{url} "gitVersion":"v1.20.2"\n' * 4 for url in urls)
        if "tail -c +" in script:
            clients = [LOOPBACK] if c.endpoint.local else [each.ip for each in (*c.workers, *c.masters)]
            lines = (f"{ip} {each.ip}:6443 - [x] 200 1280\n" for ip in clients for each in c.masters)
            return "".join(lines)
        return self._talk(host, script)

    def _talk(self, host: Host, script: str) -> str:
        c = self.cluster
        names = [self._pod(number)["metadata"]["name"] for number in range(self.replicas)]
        talk = "".join(f"{name} {name}\n" for name in names) + f"service {names[0]}\n" * 4
        if " logs " in script:
            return "".join(f"\x01{name}\nserving as {name}\n" for name in names)
        if "nslookup" in script:
            ips = {"kubernetes": c.service_ip, "web": SERVICE, "nobody": "NXDOMAIN"}
            asked = dict.fromkeys(re.findall(r"(\w+)(\.\S+@\S*?); nslookup", script))
            return "".join(f"\x01{name}\n" + "".join(f"{a}{b} {ips[a]}\n" for a, b in asked) for name in names)
        if " exec " in script:
            return "".join(f"\x01{name}\n{talk}api ok\n" for name in names)
        if "service '; curl" in script:
            ports = "".join(f"port-{each.ip} {names[0]}\n" for each in c.workers)
            return f"{talk}{ports}api ok\n"
        if "%{http_code} ' $u" in script:
            return "403 401 " if "/api/v1/secrets" in script else "200 200 200 "
        if ":8080/" in script:
            return talk
        if ":10250/pods" in script:
            return "401 exit=7 exit=7 "
        if layout.AUDIT_LOG in script:
            user = {"username": "quorate-admin", "groups": ["system:masters"]}
            return json.dumps({"verb": "get", "user": user, "responseStatus": {"code": 404}}) + "\n"
        if "/secrets/" in script:
            return "k8s:enc:secretbox:v1:key1:......\n0\n"
        if "/readyz" in script and "\x01" in script:
            return "".join(f"\x01{master.name} ok" for master in c.masters)
        if "ip -4 -o addr show to" in script:
            return f"2: eth0    inet {c.endpoint.vip}/24 scope\n" if host == c.balancers[0] else ""
        if "/sys/class/net" in script:
            return "00:00:00:00:00:00\n02:aa\n"
        if "ip neigh show" in script:
            return "02:aa\n"
        return ""

    def _aggregated(self, script: str) -> str:
        lines = ["through " + '"usage"' * len(self.cluster.workers)]
        for who, door in re.findall(r"printf '%s ' (\S+)@(\S+);", script):
            said = {"stranger": 'User \\"quorate-verify\\" cannot list 403', "admin": "NodeMetricsList 200"}
            lines.append(f"{who}@{door} {said.get(who, 'User system:anonymous cannot list 403')}")
        return "\n".join(lines)

    def _view(self, host: Host) -> dict[str, str]:
        c = self.cluster
        units = survey.units(c, host)
        held = f"2: eth0    inet {c.endpoint.vip}/24 scope global\n" if host in c.balancers[:1] else ""
        files = [(each.mode[1:], each.path) for each in profiles.files(c, host)]
        servers = {}
        if host in c.masters:
            files.append(("600", layout.kubeconfig("admin")))
            servers = {"kube-controller-manager": f"https://{host.ip}:6443", "admin": c.node_url}
            servers["kube-scheduler"] = servers["kube-controller-manager"]
        if host in c.workers:
            servers |= {"kubelet": c.node_url, "kube-proxy": c.node_url}
        trust = host in (*c.masters, *c.workers)
        certificates = [layout.PKI + "/ca.crt"] if trust else []
        certificates += [layout.PKI + "/apiserver.crt"] if host in c.masters else []
        said = dict.fromkeys(survey.questions(c, host), "")
        return said | {
            "clock": str(int(NOW.timestamp())),
            "units": "\n\n".join(f"Id={unit}\nLoadState=loaded\nActiveState=active" for unit in units),
            "health": "".join(f"{unit} yes\n" for unit in survey.health(c, host)),
            "addresses": f"2: eth0    inet {host.ip}/24 scope global\n{held}",
            "files": "".join(f"{mode} root:root {path}\n" for mode, path in files),
            "certificates": "".join(f"file {path}\n{CA}" for path in certificates),
            "servers": "".join(f"{layout.kubeconfig(name)} {url}\n" for name, url in servers.items()),
            "etcd": ETCD_SERVERS if host in c.masters else "",
        }

    def _objects(self) -> Mapping[str, object]:
        c = self.cluster
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.20.2"}}
        nodes = [{"metadata": {"name": each.node}, "status": ready} for each in c.workers]
        group = {"kind": "Group", "name": "system:unauthenticated"}
        info = {"metadata": {"name": "x"}, "roleRef": {"name": "system:public-info-viewer"}, "subjects": [group]}
        addresses = [{"ip": each.ip} for each in c.masters]
        return {
            "nodes": {"items": nodes},
            "endpoints": {"subsets": [{"addresses": addresses}]},
            "bindings": {"items": [info, {"metadata": {"name": "y"}, "roleRef": {"name": "view"}}]},
            "rolebindings": {"items": []},
        }

    def _pod(self, number: int) -> dict[str, dict[str, str]]:
        node = self.cluster.workers[number % len(self.cluster.workers)].node
        status = {"phase": "Running", "podIP": f"10.244.{number}.2"}
        return {"metadata": {"name": f"web-{number}"}, "spec": {"nodeName": node}, "status": status}
