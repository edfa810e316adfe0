"""Ports of hosts that lead to pods: CNI's portmap writes them when a pod begins, and nobody would again.

What a pod was given lies in CNI's own cache, for as long as the pod is there. Who flushes the host's rules closes those
ports until the pod is made anew; so portmap itself is asked to add them once more, which changes nothing that is there.
Its own CHECK is of no use: up to 1.5 it wants every rule in ip6tables too, and it never looks at what leads to them.
"""

from quorate.render.sh import PATH
from quorate.spec.layout import BALANCER, CNI_BIN

HOST_PORTS = f"{BALANCER}/hostports"
BETWEEN_LOOKS_S = 5
"""Seconds between two looks; without ports of hosts a look is one process, with them some for each of their pods."""
CACHES = ("/var/lib/cni/results", "/var/lib/cni/cache/results")
"""Of containerd and of kubelet with Docker: a file for each network interface of each pod, as libcni writes it."""

PODS = rf"""
PATH={PATH}
ports() {{ # the cache's files of pods that have ports of this host
  grep -ls '"portMappings":\[{{' {" ".join(f"{folder}/*" for folder in CACHES)}
}}
field() {{ sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p' "$file"; }}
portmap() {{ # ADD|DEL: by portmap, as the pod's network has it
  list=$(field config | base64 -d | tr -d '\n')
  some='[^{{}}]*(\{{[^{{}}]*\}}[^{{}}]*)*'
  own=$(echo "$list" | grep -oE "\{{$some\"type\" *: *\"portmap\"$some\}}")
  [ "$own" ] || return 0
  version=$(echo "$list" | sed -n 's/.*"cniVersion" *: *"\([^"]*\)".*/\1/p')
  arguments=$(sed -n 's/.*"capabilityArgs":\({{.*}}\),"result":.*/\1/p' "$file")
  result=$(sed -n 's/.*,"result":\({{.*}}\)}}$/\1/p' "$file")
  printf '{{"cniVersion":"%s","name":"%s","runtimeConfig":%s,"prevResult":%s,%s' "$version" "$(field networkName)" \
    "$arguments" "$result" "${{own#?}}" |
    CNI_COMMAND=$1 CNI_CONTAINERID=$(field containerId) CNI_NETNS=$(field netns) CNI_IFNAME=$(field ifName) \
      CNI_PATH={CNI_BIN} {CNI_BIN}/portmap >/dev/null
}}
rules() {{ iptables -w -t nat -S "$@"; }}
leads() {{ rules "$1" | grep -q -- "-j $2$"; }}
there() {{ # in iptables, or where portmap has been told so or finds no other, in nftables
  id=$(field containerId)
  chain=$(rules CNI-HOSTPORT-DNAT | sed -n 's/.*id: .*'"$id"'.* -j \(CNI-DN-[^ ]*\)$/\1/p' | sed 1q)
  if [ "$chain" ]; then
    rules "$chain" | grep -q -- '-j DNAT' && leads PREROUTING CNI-HOSTPORT-DNAT && leads OUTPUT CNI-HOSTPORT-DNAT &&
      {{ ! rules CNI-HOSTPORT-MASQ || leads POSTROUTING CNI-HOSTPORT-MASQ; }}
  else
    nft list chain ip cni_hostport hostports | grep -q "$id" && nft list chain ip cni_hostport prerouting | grep -q jump
  fi
}} >/dev/null 2>&1
gone() {{ # whether a pod's ports are; a file that is gone was that of a pod that is
  ! there && field config | base64 -d | grep -q portmap && [ -e "$file" ]
}}
told() {{
  echo "$(sed -n 's/.*"K8S_POD_NAMESPACE","\([^"]*\)".*/\1/p' "$file")/$(
    sed -n 's/.*"K8S_POD_NAME","\([^"]*\)".*/\1/p' "$file")"
}}
"""
"""sh functions about the file of a pod's network, `file`."""


def script() -> str:
    """sh for `fill`, `keep` and `close`. `fill` adds what is missing; a pod that ends meanwhile leaves nothing."""
    return f"""\
#!/bin/sh
# fill|keep|close: ports of this host that lead to pods.{PODS}\
case $1 in
fill | keep)
  for file in $(ports); do
    gone || continue
    echo "the ports of pod $(told) are gone from the firewall; they are put back"
    text=$(cat "$file")
    portmap ADD
    sleep 1
    if [ ! -e "$file" ]; then # its end came between
      file=$(mktemp) && printf '%s\\n' "$text" >"$file" && portmap DEL
      rm -f "$file"
    fi
  done
  ;;
esac
exit 0
"""


def check() -> str:
    """sh that prints a line for each pod whose ports are not there."""
    return f"""\
#!/bin/sh
# Which pods' ports of this host are gone from its firewall; says nothing when all are there.{PODS}\
for file in $(ports); do
  if gone; then echo "ports of this host do not lead to pod $(told)"; fi
done
exit 0
"""
