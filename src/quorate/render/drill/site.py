"""Faults that a site makes, as scripts: its network service starts anew, its firewall is reloaded, an address goes.

Each leaves a script on the host that does it there, by itself, since the connection by which we came may end; and one
that puts back what is missing then. Both lie in one folder, under one lock: nothing is put back while something is
still being done.
"""

from collections.abc import Iterable
from typing import NamedTuple

from quorate.render.drill import DID, FOUND
from quorate.render.drill.packets import CANNOT
from quorate.render.routes import PROTOCOL
from quorate.render.sh import PATH, quote

FOLDER = "/run/quorate-drill"
MANAGERS = ("systemd-networkd", "NetworkManager")
"""Services whose restart takes what is not theirs. Not ifupdown: nobody starts it anew while its links are in use, and
it does not bring all of them up again."""
KEEPERS = 15
"""Seconds that those who keep routes and rules have beyond a fault's own time; the slowest looks every 10 s."""
WATCH = 5
"""Seconds for which the host's own address is looked after, once it has been touched."""
_END = "QUORATE_END"


class Fault(NamedTuple):
    """What a host does by itself, as pieces of sh."""

    save: str
    """Notes how it was, and may refuse."""
    do: str
    """Breaks."""
    back: str
    """Undoes what is left."""


def renewed(ip: str, kill: str, then: str) -> Fault:
    """The host's own address goes and comes again; then `kill` is done, told in the words `then`."""
    do = f"""\
read -r number dev family address rest <own
ip -4 addr del "$address" dev "${{dev%@*}}"
own_back
{kill or ":"}
own_stays"""
    return Fault(f"{_own(ip)}echo {quote(f'{DID} address renewed{then}')}", do, _ADDRESS_BACK)


def restarted(ip: str, vip: str) -> Fault:
    """The host's network service starts anew; where there is none, pod routes go, and the virtual IP if any."""
    units = " ".join(f"{each}.service" for each in MANAGERS)
    goes = "virtual IP and pod routes" if vip else "pod routes"
    save = f"""\
{_own(ip)}ip -4 route show proto {PROTOCOL} >pods
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
    return Fault(save, do, back)


def _without(vip: str) -> str:
    return f"""\
  ip -4 -o addr show | grep -F {quote(f" inet {vip}/")} | while read -r n dev inet address rest; do
    ip -4 addr del "$address" dev "${{dev%@*}}"
  done
"""


def reloaded(checks: Iterable[str]) -> Fault:
    """The firewall is loaded anew, which knows of nothing that the cluster has put there; `checks` are scripts that say
    what of that is missing.

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
    back = f"""\
{_SITE}
missing() {{ for each in {" ".join(checks)}; do [ ! -e "$each" ] || /bin/sh "$each"; done; }}
{_TABLES_BACK}
n=0
while [ -n "$(missing)" ] && [ $n -lt {KEEPERS} ]; do n=$((n + 1)); sleep 1; done
missing | sed 's/^/{FOUND} /'"""
    return Fault(save, do, back)


HEAL = f"[ ! -e {FOLDER}/back ] || flock -w 90 {FOLDER} /bin/sh {FOLDER}/back"
"""sh that undoes what is left of a fault, and takes its scripts away."""
BEGIN = f"setsid flock {FOLDER} /bin/sh {FOLDER}/do </dev/null >/dev/null 2>&1 &"
"""sh that breaks what was prepared."""


def prepare(fault: Fault) -> str:
    """sh that writes the scripts, once what was done before is healed."""
    return f"""\
{HEAL} >/dev/null 2>&1 || :
rm -rf {FOLDER}; mkdir -m 0700 {FOLDER}; cd {FOLDER}
{fault.save}
{_file("do", fault.do)}{_file("back", f"{fault.back}{chr(10)}rm -rf {FOLDER}")}"""


def _file(name: str, text: str) -> str:
    return f"cat >./{name} <<'{_END}'\nPATH={PATH}\ncd {FOLDER} || exit 0\n{_library()}\n{text}\n{_END}\n"


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


def _own(ip: str) -> str:
    """sh that notes the host's own address, and the routes of its link but for those to pods."""
    mine = quote(f" inet {ip}/")
    return f"""\
ip -4 -o addr show | grep -F {mine} | head -n 1 >own
if [ ! -s own ]; then echo {quote(f"{ip} is on no interface")} >&2; exit {CANNOT}; fi
read -r q_number q_dev q_rest <own
ip -4 route show table main dev "${{q_dev%@*}}" | grep -v -e ' proto {PROTOCOL} ' -e '^[[:space:]]' >routes || :
"""


_OWN = """\
own_there() { read -r number dev family address rest <own; ip -4 -o addr show | grep -qF " inet $address "; }
own_back() { # the address with all that it had, then its routes; those that lead by others come in the second round
  words=$(tr -d '\\\\' <own)
  set -- $words
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
