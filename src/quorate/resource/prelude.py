"""The sh functions that every script of bricks may call: keep what is replaced, write whole or not at all."""

from quorate.spec.layout import LOADED, STATE

CREDENTIAL = f"{LOADED}/credential"
"""A kubeconfig in memory that lives as long as one order. What a killed order left goes with the next script."""

PRELUDE = f"""\
set -eu
umask 077
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
FOUND={STATE}/found MADE={STATE}/made
mkdir -p {STATE} {LOADED}
[ ! -e {CREDENTIAL} ] || find {CREDENTIAL} -mmin +2 -delete
# keep PATH: remember once how PATH was found, so that it can be put back.
keep() {{
  if [ -e "$FOUND$1" ] || [ -L "$FOUND$1" ]; then return 0; fi
  if [ -e "$MADE" ] && grep -qxF -- "$1" "$MADE"; then return 0; fi
  if [ -e "$1" ] || [ -L "$1" ]; then
    mkdir -p "$FOUND${{1%/*}}"; cp -a -- "$1" "$FOUND$1.part"; mv -f -- "$FOUND$1.part" "$FOUND$1"
  else
    printf '%s\\n' "$1" >>"$MADE"
  fi
}}
# label PATH: the SELinux type that the policy has for PATH; nothing where there is no SELinux.
label() {{
  if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon -F -- "$1" || :; fi
}}
# place MODE OWNER PATH: stdin becomes PATH, whole or not at all.
place() {{
  keep "$3"
  cat >"$3.quorate-new"
  [ "$2" = root:root ] || chown -- "$2" "$3.quorate-new"
  chmod -- "$1" "$3.quorate-new"
  sync -- "$3.quorate-new"; mv -fT -- "$3.quorate-new" "$3"; label "$3"
}}
# putback PATH: what was found there, or nothing; a second time, or where we never were, nothing happens.
putback() {{
  rm -f -- "$1.quorate-new"
  if [ -e "$FOUND$1" ] || [ -L "$FOUND$1" ]; then
    rm -rf -- "$1"; mv -f -- "$FOUND$1" "$1"
  elif [ -e "$MADE" ] && grep -qxF -- "$1" "$MADE"; then
    rm -f -- "$1"
    grep -vxF -- "$1" "$MADE" >"$MADE.new" || :; mv -f -- "$MADE.new" "$MADE"
  fi
}}
changed() {{ printf '\\003changed\\n'; }}
"""
