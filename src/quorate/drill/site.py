"""Faults that a site itself makes: its network service starts anew, its firewall is reloaded, an address is renewed.

Each leaves a script on the host that does it there, by itself, since the connection by which we came may end; and one
that puts back what is missing then. Both lie in one folder, under one lock: nothing is put back while something is
still being done. What a site's own service really does is preferred to what only resembles it; the host says which.
"""

from ipaddress import IPv4Address

from quorate.component.cni import PROTOCOL, ROUTES
from quorate.component.keeper import check_of
from quorate.component.proxy import RULES
from quorate.drill.breaks import killed_whole
from quorate.drill.packets import CANNOT
from quorate.execute.outage import DID, FOUND, Break
from quorate.render import token
from quorate.render.hostports import HOST_PORTS
from quorate.render.sh import quote
from quorate.spec.cluster import Host
from quorate.spec.layout import FIREWALL

FOLDER = "/run/quorate-drill"
MANAGERS = ("systemd-networkd", "NetworkManager")
"""Services whose restart takes what is not theirs. Not ifupdown: nobody starts it anew while its links are in use, and
it does not bring all of them up again."""
KEEPERS = 15
"""Seconds that those who keep routes and rules have beyond a fault's own time; the slowest looks every 10 s."""
WATCH = 5
"""Seconds for which the host's own address is looked after, once it has been touched."""
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_END = "QUORATE_END"


def renewed(host: Host, unit: str = "") -> Break:
    """The host's own address goes and comes again, as in a DHCP renewal; then a balancer, if named, ends by signal 9.

    With the balancer the virtual IP goes, and must not take the address along: whichever came first is the primary one.
    """
    kill = killed_whole(host, unit) if unit else None
    then = f", then {unit.removesuffix('.service')} killed" if unit else ""
    do = f"""\
set -- $(cat own)
ip -4 addr del "$4" dev "${{2%@*}}"
own_back
{kill.begin if kill else ":"}
own_stays"""
    said = quote(f"{DID} address renewed{then}")
    return _alone(host, f"{_own(host)}echo {said}", do, _ADDRESS_BACK, also=kill.heal if kill else "")


def restarted(host: Host, vip: IPv4Address | None = None) -> Break:
    """The host's network service starts anew; where there is none, what that takes away goes: pod routes, and a
    virtual IP.

    Rules of routing stay then: the cluster has none of its own.
    """
    units = " ".join(f"{each}.service" for each in MANAGERS)
    goes = "virtual IP and pod routes" if vip else "pod routes"
    save = f"""\
{_own(host)}ip -4 route show proto {PROTOCOL} >pods
for q_unit in {units}; do
  if systemctl is-active -q "$q_unit"; then echo "$q_unit" >manager; break; fi
done
if [ -e manager ]; then echo "{DID} $(cat manager) restarted"
else echo '{DID} no network manager runs: {goes} taken away'; fi"""
    do = f"""\
if [ -e manager ]; then timeout 60 systemctl restart "$(cat manager)"
else
{_without(vip) if vip else ""}  ip -4 route flush proto {PROTOCOL}
fi
own_stays"""
    back = f"""\
{_ADDRESS_BACK}
gone() {{
  now=$(ip -4 route show proto {PROTOCOL})
  while read -r net via to rest; do
    case "$now" in *"$net $via $to "*) ;; *) echo "$net $via $to" ;; esac
  done <pods
}}
n=0
while [ -n "$(gone)" ] && [ $n -lt {KEEPERS} ]; do n=$((n + 1)); sleep 1; done
gone | while read -r route; do
  echo "{FOUND} the route $route did not come back"
  ip -4 route replace $route proto {PROTOCOL}
done"""
    return _alone(host, save, do, back)


def _without(vip: IPv4Address) -> str:
    return f"""\
  ip -4 -o addr show | grep -F {quote(f" inet {vip}/")} | while read -r n dev inet address rest; do
    ip -4 addr del "$address" dev "${{dev%@*}}"
  done
"""


def reloaded(host: Host) -> Break:
    """The site's firewall is loaded anew, which knows of nothing that the cluster has put there.

    firewalld and nftables' own service do it themselves. Else iptables gets the site's rules in one step, as they are
    but for those of the cluster, which is what a service does that loads a file: SSH stays as open as it was.
    """
    save = f"""\
if systemctl is-active -q firewalld.service; then echo firewalld >way
elif systemctl is-active -q nftables.service; then echo nftables >way
elif iptables -w -S INPUT >/dev/null 2>&1; then echo iptables >way
else echo 'neither firewalld, nftables.service nor iptables is there' >&2; exit {CANNOT}; fi
for q_table in filter nat; do iptables-save -t "$q_table" >"$q_table" 2>/dev/null || :; done
if [ "$(cat way)" = nftables ]; then
  nft list tables >tables
  while read -r q_table q_family q_name; do
    nft list table "$q_family" "$q_name" >"table-$q_family-$q_name" 2>/dev/null || :
  done <tables
fi
echo "{DID} firewall reloaded ($(cat way))\""""
    do = f"""\
{_SITE}
case $(cat way) in
firewalld) firewall-cmd -q --complete-reload ;;
nftables) systemctl reload nftables.service ;;
iptables) site | iptables-restore -w ;;
esac"""
    checks = " ".join(check_of(each) for each in (FIREWALL, ROUTES, HOST_PORTS, RULES))
    back = f"""\
{_SITE}
missing() {{ for each in {checks}; do [ ! -e "$each" ] || /bin/sh "$each"; done; }}
{_TABLES_BACK}
n=0
while [ -n "$(missing)" ] && [ $n -lt {KEEPERS} ]; do n=$((n + 1)); sleep 1; done
missing | sed 's/^/{FOUND} /'"""
    return _alone(host, save, do, back)


def _alone(host: Host, save: str, do: str, back: str, also: str = "") -> Break:
    """What a host does by itself: `save` notes how it was and may refuse, `do` breaks, `back` undoes what is left."""
    folder = token.path(FOLDER)
    heal = f"[ ! -e {folder}/back ] || flock -w 90 {folder} /bin/sh {folder}/back"
    prepare = f"""\
{heal} >/dev/null 2>&1 || :
rm -rf {folder}; mkdir -m 0700 {folder}; cd {folder}
{save}
{_file("do", do)}{_file("back", f"{back}{chr(10)}rm -rf {folder}")}"""
    begin = f"setsid flock {folder} /bin/sh {folder}/do </dev/null >/dev/null 2>&1 &"
    return Break(host, begin, "\n".join(filter(None, (also, heal))), prepare=prepare)


def _file(name: str, text: str) -> str:
    return f"cat >{name} <<'{_END}'\n{_PATH}\ncd {FOLDER} || exit 0\n{_library()}\n{text}\n{_END}\n"


def _library() -> str:
    return f"""\
{_OWN}
own_stays() {{
  n=0
  while [ $n -lt {WATCH * 5} ]; do
    own_there || {{ : >lost; own_back; }}
    n=$((n + 1)); sleep 0.2
  done
}}"""


def _own(host: Host) -> str:
    """sh that notes the host's own address, and the routes of its link but for those to pods."""
    mine = quote(f" inet {host.ip}/")
    return f"""\
ip -4 -o addr show | grep -F {mine} | head -n 1 >own
if [ ! -s own ]; then echo {quote(f"{host.ip} is on no interface")} >&2; exit {CANNOT}; fi
set -- $(cat own)
ip -4 route show table main dev "${{2%@*}}" | grep -v -e ' proto {PROTOCOL} ' -e '^[[:space:]]' >routes || :
"""


_OWN = """\
own_there() { set -- $(cat own); ip -4 -o addr show | grep -qF " inet $4 "; }
own_back() { # the address with all that it had, then its routes; those that lead by others come in the second round
  set -- $(tr -d '\\\\' <own)
  dev=${2%@*} words=$4; shift 4
  while [ $# -gt 0 ]; do
    case $1 in
    brd | scope | metric | valid_lft | preferred_lft) words="$words $1 ${2%sec}"; shift ;;
    noprefixroute) words="$words $1" ;;
    "$dev" | "$dev":*) words="$words label $1" ;;
    esac
    shift
  done
  ip -4 addr add $words dev "$dev"
  for round in 1 2; do
    while read -r route; do
      ip -4 route show table main dev "$dev" | grep -qF -- "$route" || ip -4 route replace $route dev "$dev"
    done <routes
  done
}"""
_ADDRESS_BACK = f"""\
own_there || {{ : >lost; own_back; }}
[ ! -e lost ] || echo "{FOUND} the host's own address was gone, and was put back\""""
_OURS = "(KUBE|QUORATE|CNI)-"
_SITE = f"""\
site() {{ # the rules but for those of the cluster
  cat filter nat | sed -E -e '/^(:|-A ){_OURS}/d' -e '/ -[jg] {_OURS}/d'
}}"""
_TABLES_BACK = """\
if [ "$(cat way)" = nftables ]; then # what others had added to the rules of the service's own file
  now=$(nft list tables)
  while read -r word family name; do
    case $family-$name in # iptables' own, below, and those that come back by themselves
    ip*-filter | ip*-nat | ip*-mangle | ip*-raw | ip*-security | *kube* | *quorate*) continue ;;
    esac
    case "$now" in *"$word $family $name"*) continue ;; esac
    nft -f "table-$family-$name"
  done <tables
  now=$(iptables-save -t filter; iptables-save -t nat)
  site | grep '^-A ' | while read -r rule; do
    printf '%s\\n' "$now" | grep -qxF -- "$rule" && continue
    cat filter nat | iptables-restore -w
    break
  done
fi"""
