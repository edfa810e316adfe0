"""Which runtime has a node's pods: of a kubelet that goes from one to the other, as sh for its host.

Which one it is asked for is read from the kubelet's own unit, so the same text is true on the way there and back.
"""

from quorate.render.hostports import CACHES, PODS
from quorate.render.sh import quote
from quorate.spec import pki_files
from quorate.spec.layout import BIN, CNI_BIN, LOADED

BETWEEN_S = 30
"""Seconds that containers have to end in good order."""
READY_PODS = f"{LOADED}/daemon-pods"
"""How many DaemonSet pods of the node were Ready before: as many must be so afterwards, and no more."""
STALE_MIN = 60
"""Minutes after which that number is of a change before."""
TABLE = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io"
"""As people see it, each row with the object's metadata."""

_CTR = f"{BIN}/ctr -n k8s.io"
_ASKED = f"""\
asked() {{ # the runtime that the kubelet's unit names
  case $(systemctl show -p ExecStart --value kubelet.service) in
  *--container-runtime*) echo containerd;; *) echo docker;; esac
}}
in_docker() {{ # the containers of pods, of those whose names begin with a word
  [ -x {BIN}/docker ] || return 0
  there=$({BIN}/docker ps -a --no-trunc --format '{{{{.ID}}}} {{{{.Names}}}}') || return 1
  echo "$there" | sed -n "s/^\\([0-9a-f]*\\) k8s_$1.*/\\1/p"
}}
in_containerd() {{ {_CTR} containers ls -q; }}
left() {{ case $(asked) in docker) in_containerd;; *) in_docker '';; esac; }}
"""


def alone() -> str:
    """sh that succeeds when the other runtime has no container of a pod."""
    return f'{_ASKED}found=$(left) && [ -z "$found" ]'


def emptied(url: str, node: str) -> str:
    """sh that ends all containers of pods that the other runtime has, those of DaemonSets too, and takes what they had
    of the pod network; for when the kubelet is at rest. Fails when one is left. `url` is where the API answers.
    """
    return f"""{_ASKED}{daemon_pods(url, node)}
mkdir -p {LOADED}; find {READY_PODS} -mmin +{STALE_MIN} -delete 2>/dev/null || :
now=$(ready_pods | wc -l); [ "$now" -le "$(cat {READY_PODS} 2>/dev/null || echo 0)" ] || echo "$now" >{READY_PODS}
# Its containers may run though it does not.
[ ! -x {BIN}/docker ] || systemctl start docker.service || :
all=$(left)
if [ "$all" ]; then
  case $(asked) in
  docker)
    for id in $all; do {_CTR} tasks kill -s SIGTERM "$id" 2>/dev/null || :; done
    n=0; while {_CTR} tasks ls | grep -q RUNNING && [ $n -lt {BETWEEN_S} ]; do n=$(( n + 1 )); sleep 1; done
    for id in $all; do
      {_CTR} tasks delete -f "$id" >/dev/null 2>&1 || :; {_CTR} containers delete "$id" >/dev/null 2>&1 || :
    done;;
  *)
    busy=$(in_docker '' | grep -vxF "$(in_docker POD_)")
    {BIN}/docker stop -t {BETWEEN_S} $busy >/dev/null 2>&1 || :
    {BIN}/docker rm -f -v $all >/dev/null 2>&1 || :
    rm -rf /var/lib/dockershim/sandbox;;
  esac
  {_network_freed()}
fi
{alone()}"""


def gate(url: str, node: str) -> str:
    """sh that succeeds when the node runs by the runtime that its kubelet is asked for, in the version that is
    installed, and as many DaemonSet pods are Ready there as before.
    """
    return f"""{_ASKED}{daemon_pods(url, node)}
number() {{ grep -oE '[0-9]+\\.[0-9]+\\.[0-9]+' | head -n 1; }}
kind=$(asked); program=$kind; [ $kind = containerd ] || program=dockerd
said=$({_curl()} {quote(f"{url}/api/v1/nodes/{node}")} | tr -d ' \\n' |
  grep -oE '"containerRuntimeVersion":"[^"]*' | cut -d '"' -f 4)
[ "${{said%%:*}}" = $kind ] && [ "$(echo "$said" | number)" = "$({BIN}/$program --version | number)" ] || exit 1
[ "$(ready_pods | wc -l)" -ge "$(cat {READY_PODS} 2>/dev/null || echo 0)" ]"""


def evidence(url: str, node: str) -> str:
    """sh that tells what keeps the gate shut."""
    return f"""{_ASKED}{daemon_pods(url, node)}
echo "the kubelet is asked for $(asked); containers of the other one: $(left | wc -l)"
{_curl()} {quote(f"{url}/api/v1/nodes/{node}")} | grep -o '"containerRuntimeVersion": *"[^"]*"'
echo "DaemonSet pods that are Ready: $(ready_pods | wc -l), before $(cat {READY_PODS} 2>/dev/null || echo 0)"
daemon_pods | grep -o '^{{"cells":[^]]*' | head -n 20"""


def _curl() -> str:
    return (
        f"curl -gsf --noproxy '*' --connect-timeout 1 --max-time 3 --cacert {pki_files.CA} "
        f"--cert {pki_files.KUBELET_CLIENT} --key {pki_files.KUBELET_CLIENT_KEY}"
    )


def daemon_pods(url: str, node: str) -> str:
    """sh functions about the node's pods that DaemonSets own. The API prints them in a table, for curl with blanks."""
    pods = quote(f"{url}/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")
    return f"""\
daemon_pods() {{
  {_curl()} -H {quote(TABLE)} {pods} | tr -d ' \\n' | sed 's/{{"cells":/\\n&/g' | grep '"kind":"DaemonSet"'
}}
ready_pods() {{ daemon_pods | grep -E '^\\{{"cells":\\["[^"]*","([0-9]+)/\\1","Running"'; }}"""


def _network_freed() -> str:
    """sh: ports of the host, addresses and network namespaces of the containers in `all`, by CNI's own notes."""
    return f"""\
{PODS}
  for id in $all; do
    for file in {" ".join(f'{folder}/*"$id"*' for folder in CACHES)}; do
      [ -e "$file" ] || continue
      [ ! -x {CNI_BIN}/portmap ] || portmap DEL || :
      space=$(field netns); rm -f -- "$file"
      case $space in */netns/cni-*) ip netns delete "${{space##*/}}" 2>/dev/null || :;; esac
    done
    grep -ls "^$id" /var/lib/cni/networks/*/* 2>/dev/null | while read -r file; do rm -f -- "$file"; done || :
  done"""
