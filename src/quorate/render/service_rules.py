"""kube-proxy's rules: a script that has them written anew, one that says that they are gone, and sh that takes
them away.
"""

from quorate.render.sh import PATH, quote

SEEN = "/run/quorate-rules"
"""Which run of kube-proxy has written rules already: one that begins, or waits for the API, is left in peace."""
BETWEEN_LOOKS_S = 5
"""Seconds between two looks at the rules; a look is three questions, seven in iptables mode."""
_JUMPS = (
    ("nat", "PREROUTING", "KUBE-SERVICES"),
    ("nat", "OUTPUT", "KUBE-SERVICES"),
    ("nat", "POSTROUTING", "KUBE-POSTROUTING"),
    ("filter", "FORWARD", "KUBE-FORWARD"),
)
_JUMPS_IPTABLES = (("filter", "INPUT", "KUBE-EXTERNAL-SERVICES"), ("filter", "OUTPUT", "KUBE-SERVICES"))


def rules() -> str:
    """A script that starts kube-proxy anew when its rules are gone.

    In nftables mode kube-proxy looks at its rules only when something changes, or after an hour. In iptables mode it
    looks every 30 s whether chains of its own are there that hold nothing: who flushes rules and leaves chains is not
    noticed. Until then a host reaches no service.
    """
    return f"""\
#!/bin/sh
# Looks whether kube-proxy's rules are there; if not, and they were, kube-proxy has to write them anew.
PATH={PATH}
whole() {{
  gone=$(/bin/sh "$0.check") && [ -z "$gone" ]
}}
seen=$(cat {SEEN} 2>/dev/null)
while :; do
  sleep {BETWEEN_LOOKS_S}
  run=$(systemctl show -p InvocationID --value kube-proxy.service) || continue
  if whole; then
    [ "$seen" = "$run" ] || printf '%s' "$run" >{SEEN}
    seen=$run
  elif [ -n "$run" ] && [ "$seen" = "$run" ] && sleep 1 && ! whole; then
    echo "$gone: kube-proxy is started anew, and writes them"
    systemctl try-restart kube-proxy.service
  fi
done
"""


def check(mode: str, service_ip: str) -> str:
    """A script that says whether kube-proxy's rules are gone.

    They are judged by the jumps from the kernel's own chains, and by what leads to the service `kubernetes`, which
    every cluster has. The jumps are those that kube-proxy writes in all versions from 1.20 on. In ipvs mode the
    services are no rules: the address is on an interface.
    """
    if mode == "nftables":
        address = quote(f"{{ {service_ip} . tcp . 443 }}")
        whole = f"""\
  nft list chain ip kube-proxy nat-prerouting | grep -q 'jump services' &&
    nft list chain ip kube-proxy services | grep -q '@service-ips' &&
    nft get element ip kube-proxy service-ips {address} >/dev/null"""
    else:
        jumps = [*_JUMPS, *(_JUMPS_IPTABLES if mode == "iptables" else ())]
        lines = [f"leads {table} {chain} {to}" for table, chain, to in jumps]
        if mode == "iptables":
            lines.append(f"iptables -w -t nat -S KUBE-SERVICES | grep -q -- '-d {service_ip}/32 '")
        whole = "  " + " &&\n    ".join(lines)
    return f"""\
#!/bin/sh
# Says so when rules of kube-proxy are gone from this host's firewall.
PATH={PATH}
leads() {{ iptables -w -t "$1" -S "$2" | grep -q -- "-j $3$"; }}
whole() {{
{whole}
}} 2>/dev/null
whole || echo 'rules of kube-proxy are gone from the firewall, services are not reached'
exit 0
"""


LEAVE = """\
# What kube-proxy, kubelet and CNI plugins have put into the firewall.
for t in iptables ip6tables; do
  if command -v $t-save >/dev/null && $t-save 2>/dev/null | grep -qE 'KUBE-|CNI-'; then
    $t-save | grep -vE 'KUBE-|CNI-' | $t-restore
  fi
done
if command -v nft >/dev/null; then
  for f in ip ip6; do nft delete table $f kube-proxy 2>/dev/null || :; done
fi
ip link delete kube-ipvs0 2>/dev/null || :
"""
"""sh that takes away what kube-proxy, kubelet and CNI plugins leave."""
