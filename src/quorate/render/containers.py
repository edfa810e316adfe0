"""Scripts about containers: what their daemons leave behind, and a runc for kernels that let nobody lower a score."""

from collections.abc import Iterable

from quorate.spec.layout import BIN

PLAIN_RUNC = f"""\
#!/bin/sh
# This host's kernel lets nobody lower oom_score_adj: take a negative one out of the bundle before runc sees it.
bundle=.
previous=
for word; do
  case "$previous" in --bundle|-b) bundle=$word;; esac
  case "$word" in --bundle=*) bundle=${{word#--bundle=}};; esac
  previous=$word
done
for word; do
  case "$word" in create|run)
    if [ -f "$bundle/config.json" ]; then
      sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$bundle/config.json"
    fi
    break;;
  esac
done
exec {BIN}/runc "$@"
"""
"""A runc for hosts whose kernel takes no negative oom_score_adj."""

_LEAVE = """\
# Containers outlive their daemons: end their shims and what runs in them, then take their mounts away.
for n in 1 2 3 4 5; do
  left=
  for p in /proc/[0-9]*; do
    case "$(readlink "$p/exe" 2>/dev/null)" in
    */containerd-shim*) kill -9 "${p#/proc/}" 2>/dev/null || :; left=1;;
    *) if grep -qsE '/(kubepods|docker)' "$p/cgroup" && [ "${p#/proc/}" != $$ ]; then
         kill -9 "${p#/proc/}" 2>/dev/null || :; left=1
       fi;;
    esac
  done
  [ -n "$left" ] || break
  sleep 0.3
done
systemctl stop kubepods.slice 2>/dev/null || :
sort -r /proc/mounts | while read -r d m rest; do
  case "$m" in FOLDERS)
    umount -l "$m" 2>/dev/null || :;;
  esac
done
for n in $(ip netns list 2>/dev/null | while read -r n rest; do case "$n" in cni-*) echo "$n";; esac; done); do
  ip netns delete "$n" 2>/dev/null || :
done
rm -rf /run/containerd /run/docker /run/docker.sock /run/docker.pid /var/lib/dockershim
"""


def leave(folders: Iterable[str]) -> str:
    """sh that ends all containers of a host, and takes away what is mounted below these folders."""
    return _LEAVE.replace("FOLDERS", "|".join(f"{folder}/*" for folder in sorted(folders)))
