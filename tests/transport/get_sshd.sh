#!/bin/sh
# Unpacks Debian's sshd beside the system, for the tests that talk to a real one: nothing is installed.
set -eu
command -v sshd && exit
root=${QUORATE_SSHD:-$HOME/.cache/quorate/test-sshd}
[ -x "$root/usr/sbin/sshd" ] && exit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq update
apt-get -qq download openssh-server libwrap0
mkdir -p "$root"
for deb in *.deb; do dpkg-deb -x "$deb" "$root"; done
echo "$root/usr/sbin/sshd"
