"""Images of a node's pods, from one runtime to the other on the same host: no registry is asked, as sh."""

from quorate.spec.layout import BIN

_DOCKER, _CTR = f"{BIN}/docker", f"{BIN}/ctr -n k8s.io"
_FULL = r"""
full() { # the name of an image as containerd has it
  case $1 in
  */*) case ${1%%/*} in *.* | *:* | localhost) echo "$1";; *) echo "docker.io/$1";; esac;;
  *) echo "docker.io/library/$1";;
  esac
}
"""
_IN_DOCKER = f"""\
ids() {{ # of the images of containers of pods
  pods=$({_DOCKER} ps -aq --no-trunc --filter name=k8s_) || return 1
  [ -z "$pods" ] || {_DOCKER} inspect -f '{{{{.Image}}}}' $pods | sort -u
}}
named() {{ # by a template, one name a line
  found=$(ids) || return 1
  [ -z "$found" ] || {_DOCKER} inspect -f "$1" $found | sed '/^$/d' | sort -u
}}
in_docker() {{ named '{{{{range .RepoTags}}}}{{{{println .}}}}{{{{end}}}}'; }}
by_digest() {{ # those that have no name but a digest, which no archive of Docker's has
  named '{{{{if not .RepoTags}}}}{{{{range .RepoDigests}}}}{{{{println .}}}}{{{{end}}}}{{{{end}}}}' |
    while read -r each; do full "$each"; done
}}
"""
NAMES = f"{_FULL}{_IN_DOCKER}"
"""sh functions: images of pods as Docker has them, and those among them that can't be carried over."""
_IN_CONTAINERD = f"""\
in_containerd() {{ {_CTR} containers ls | sed 1d | while read -r id name rest; do echo "$name"; done |
  grep -vE '^sha256:|@' | sort -u; }}
"""


def missing(kind: str) -> str:
    """sh that prints the images of pods that the runtime of this kind has not, as a field; nothing where the other one
    is not there or does not answer.
    """
    if kind == "containerd":
        return f"""{NAMES}
[ -x {_DOCKER} ] || {{ echo missing=none; exit 0; }}
names=$(in_docker) && there=$({_CTR} images ls -q) || exit 0
lacks=; for name in $names; do echo "$there" | grep -qxF "$(full "$name")" || lacks="$lacks $name"; done
lacks=${{lacks# }}; echo "missing=${{lacks:-none}}\""""
    return f"""{_IN_CONTAINERD}
names=$(in_containerd) || exit 0
lacks=; for name in $names; do {_DOCKER} image inspect "$name" >/dev/null 2>&1 || lacks="$lacks $name"; done
lacks=${{lacks# }}; echo "missing=${{lacks:-none}}\""""


def carry(kind: str) -> str:
    """sh that brings them there."""
    if kind == "containerd":
        return f"""{NAMES}
there=$({_CTR} images ls -q)
for name in $(in_docker); do
  echo "$there" | grep -qxF "$(full "$name")" || {_DOCKER} save "$name" | {_CTR} images import - >/dev/null
done"""
    return f"""{_IN_CONTAINERD}
for name in $(in_containerd); do
  {_DOCKER} image inspect "$name" >/dev/null 2>&1 || {_CTR} images export - "$name" | {_DOCKER} load -q >/dev/null
done"""
