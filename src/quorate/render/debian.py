"""Scripts that run inside a Debian root on this machine: packages are taken apart there, and programs and layers made.

What they are told comes as variables, what they make lies in /exchange, or where whoever runs them looks for it.
"""

from collections.abc import Iterable

TAKE_APART = r"""
set -eu
cd /exchange
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt-get -qq update
mkdir -p debs trees closures depends
for name in $SOURCES; do
    (cd debs && apt-get -qq -o APT::Sandbox::User=root download "$name")
    dpkg-deb -x debs/"$name"_*.deb trees/"$name"
    dpkg-deb -f debs/"$name"_*.deb Version > depends/"$name"
    dpkg-deb -f debs/"$name"_*.deb Depends >> depends/"$name"
done
rm -rf debs && mkdir debs
sed -s -n '2p' depends/* | tr ',|' '\n\n' | sed -n 's/^ *\(lib[^ ]*\).*/\1/p' | sort -u > libraries
for name in $TOOLS $(cat libraries); do
    apt-get -s -o Dir::State::status=/exchange/status --no-install-recommends --reinstall \
        install "$name" > plan
    sed -n 's/^Inst \([^ ]*\) \(\[[^]]*\] \)\{0,1\}(\([^ ]*\) .*/\1=\3/p' plan > closures/"$name"
done
cd debs && apt-get -qq -o APT::Sandbox::User=root download $(cat ../closures/* | sort -u)
"""
"""Packages with all that they need on a minimal host, and what is in others: SOURCES are unpacked, TOOLS brought along.
"""

KUBERNETES = r"""
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C HOME=/root
cp /exchange/source.sources /etc/apt/sources.list.d/source.sources
apt-get -qq update
echo "step: installing Go and what the build needs"
apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends \
    install golang-go golang-github-modern-go-reflect2-dev jq rsync make dpkg-dev git >/dev/null
echo "step: unpacking the source"
mkdir -p /build
cd /build
apt-get -qq -o APT::Sandbox::User=root source kubernetes
cd kubernetes-*/
dpkg-parsechangelog -S Version > /exchange/version
# The tree's reflect2 1.0.1 iterates maps by the runtime of Go 1.17 and before: with Go 1.19 the API server dies of
# "fatal error: fault" as soon as it sorts a map's keys. Debian's reflect2 1.0.2 knows newer runtimes.
reflect2=vendor/github.com/modern-go/reflect2
rm -f $reflect2/*.go $reflect2/*.s
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.go $reflect2/
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.s $reflect2/ 2>/dev/null || :
rm -f $reflect2/*_test.go
mkdir -p .go/src/k8s.io
ln -s ../../.. .go/src/k8s.io/kubernetes
what=
for name in $BINARIES; do what="$what cmd/$name"; done
echo "step: compiling$what"
export GOPATH="$PWD/.go" GOCACHE=/build/cache GO111MODULE=off CGO_ENABLED=0 SOURCE_DATE_EPOCH=1610553600
make WHAT="$what"
mkdir -p /exchange/bin
for name in $BINARIES; do cp "_output/bin/$name" /exchange/bin/; done
"""
"""Kubernetes' BINARIES, built as Debian's own rules do it; the tree's own flags strip the binaries.

SOURCE_DATE_EPOCH is the day of the upstream release, so that the build date is not that of the run.
"""

BUSYBOX = """set -eu
        apt-get -qq update
        cd /srv
        apt-get -qq -o APT::Sandbox::User=root download busybox-static
        dpkg-deb -x busybox-static_*.deb /out
        cp "$(find /out -name busybox -type f -perm -1)" /srv/busybox
        echo BEGIN; /srv/busybox --list; echo END"""
"""The static busybox, at /srv/busybox; between two lines it tells what it can be."""

SHELL = """\
#!/usr/bin/bash
# Debian's busybox drops variables whose names a shell can't write, such as data-1; bash keeps them. Without any
# it is the shell of busybox, whose words the tests look for.
while IFS= read -r -d '' variable; do
  case ${variable%%=*} in
    ''|[0-9]*|*[!A-Za-z0-9_]*) exec -a "$0" /usr/bin/bash "$@" ;;
  esac
done < /proc/self/environ
exec -a "$0" /bin/busybox "$@"
"""
"""The shell of the busybox image; by its name busybox knows what it is to be."""


def finish(user: str) -> str:
    """sh that ends what debootstrap began. Host keys and machine id are each host's own; no timer downloads on its own.

    `user` may log in, and use sudo without a password.
    """
    return f"""
set -eu
useradd --create-home --shell /bin/bash {user}
echo '{user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}
chmod 0440 /etc/sudoers.d/{user}
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /etc/machine-id /var/lib/dbus/machine-id
: > /etc/machine-id
update-ca-certificates > /dev/null 2>&1
for timer in apt-daily apt-daily-upgrade e2scrub_all fstrim; do
    ln -sf /dev/null "/etc/systemd/system/$timer.timer"
done
apt-get clean
"""


def layer(packages: Iterable[str]) -> str:
    """sh that makes the layer of the images which Kubernetes' own tests start, of packages, as /srv/layer.tar."""
    return f"""set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt-get -qq update
mkdir -p /srv/debs/partial /srv/out
: > /srv/status
# Against an empty list of what is installed, all that the packages need is fetched.
apt-get -qq -o APT::Sandbox::User=root -o Dir::State::status=/srv/status -o Dir::Cache::archives=/srv/debs \\
    --no-install-recommends --download-only -y install {" ".join(packages)} > /dev/null
cd /srv/out
for d in bin sbin lib lib64; do mkdir -p usr/$d; ln -s usr/$d $d; done
for deb in /srv/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --exclude=./usr/share/doc \\
        --exclude=./usr/share/man --exclude=./usr/share/locale --exclude=./usr/share/info
done
# What the packages' own scripts would do.
for pair in nc:nc.openbsd awk:mawk netcat:nc.openbsd; do ln -sf ${{pair#*:}} usr/bin/${{pair%%:*}}; done
[ -e usr/bin/sh ] || ln -s dash usr/bin/sh
mkdir -p tmp root var/log/nginx var/lib/nginx run etc/ssl/certs uploads
chmod 1777 tmp uploads
printf 'root:x:0:0:root:/root:/bin/bash\\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\\n' > etc/passwd
printf 'user-defined-in-image:x:1000:1000::/home:/bin/sh\\n' >> etc/passwd
printf 'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\\n' >> etc/passwd
printf 'root:x:0:\\nwww-data:x:33:\\nuser-defined-in-image:x:1000:\\n' > etc/group
printf 'group-defined-in-image:x:50000:user-defined-in-image\\nnogroup:x:65534:\\n' >> etc/group
printf 'hosts: files dns\\n' > etc/nsswitch.conf
ldconfig -r .
# What the tests call is there, and its libraries are.
for c in sh bash dig curl nc socat ss ip iperf ping netstat ps awk grep nginx; do
    [ -x usr/bin/$c ] || [ -x usr/sbin/$c ] || {{ echo "there is no $c"; exit 1; }}
done
for c in sh dig curl nc socat ss bash; do
    libraries=$(chroot . /usr/bin/bash /usr/bin/ldd /usr/bin/$c)
    case $libraries in *"not found"*) echo "$libraries"; exit 1;; esac
done
rm -f usr/share/nginx/html/* etc/nginx/sites-enabled/*
mkdir -p usr/share/nginx/html
printf '<html><body><h1>Welcome to nginx!</h1></body></html>\\n' > usr/share/nginx/html/index.html
cat > etc/nginx/nginx.conf <<'END'
daemon off;
worker_processes 1;
error_log /dev/stderr;
events {{}}
http {{ access_log /dev/stdout; server {{ listen 80 default_server; root /usr/share/nginx/html; }} }}
END
# Of Apache's tests one moves the page away, and knows where it is.
mkdir -p usr/local/apache2/htdocs
printf '<html><body><h1>It works!</h1></body></html>\\n' > usr/local/apache2/htdocs/index.html
cat > etc/httpd.conf <<'END'
ServerRoot /usr/lib/apache2
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule dir_module modules/mod_dir.so
ServerName localhost
Listen 80
User www-data
Group www-data
DefaultRuntimeDir /run
PidFile /run/httpd.pid
DocumentRoot /usr/local/apache2/htdocs
DirectoryIndex index.html
ErrorLog /dev/stderr
LogFormat "%h %t \\"%r\\" %>s %b" short
CustomLog /dev/stdout short
END
chroot . /usr/sbin/apache2 -t -f /etc/httpd.conf 2>&1 | grep -q 'Syntax OK' ||
    {{ echo "apache2 refuses its file"; exit 1; }}
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf /srv/layer.tar .
"""
