"""The script that keeps the routes between the pods of all nodes, and the one that says what is missing.

`pods` is their network.
"""

from quorate.render.sh import PATH

PROTOCOL = 109
"""Marks routes as ours (`ip route ... proto`). To the kernel, numbers from RTPROT_STATIC (4) up mean nothing, it hands
them back as given; 109 is free in its rtnetlink.h and in iproute2's rt_protos, where routing daemons have theirs.
"""


def routes(pods: str) -> str:
    """A script that keeps the routes, and lets pod traffic through the host's own firewall chains.

    It asserts them every 10 s, so that a network manager, a firewall's reload or a human undoes nothing for
    long, and at once on SIGHUP. The text is the same whoever is in the cluster: routes are those of the list
    beside it, and one that stays in the list is never absent. Chains are filled in one step by iptables-restore.
    """
    return f"""\
#!/bin/sh
# Routes to the pods of the other nodes, and the rules that let pod traffic pass.
# Lines of $0.list are `CIDR via ADDRESS`. All routes of protocol {PROTOCOL} are ours.
hup() {{ # the list is read at once; a script other than this one, which somebody edited and started, begins anew
  kill $! 2>/dev/null
  now=$(cat "$0") && [ "$now" != "$self" ] && exec /bin/sh "$0"
}}
trap hup HUP
self=$(cat "$0")
PATH={PATH}
nl='
'
unjump() {{
  while iptables -w -t "$1" -D "$2" -j "$3" 2>/dev/null; do :; done
  iptables -w -t "$1" -F "$3" 2>/dev/null; iptables -w -t "$1" -X "$3" 2>/dev/null
}}
keep() {{
  # Without a list nothing is known to be wrong.
  want=$(cat "$0.list") || return
  have=$(ip -4 route show proto {PROTOCOL})
  printf '%s\\n' "$want" | while read -r net via to _; do
    case $net in [0-9]*) ;; *) continue ;; esac
    # Another way to the same pods takes the old one's place in one step.
    case "$nl$have" in
    *"$nl$net $via $to "*) ;;
    *) ip route replace "$net" "$via" "$to" proto {PROTOCOL} ;;
    esac
  done
  ip -4 route show proto {PROTOCOL} | while read -r net via to _; do
    case "$nl$want$nl" in
    *"$nl$net $via $to$nl"*) ;;
    *) ip route delete "$net" "$via" "$to" proto {PROTOCOL} ;;
    esac
  done
}}
fill() {{
  iptables-restore -w -n <<'RULES'
*filter
:QUORATE-PODS - [0:0]
-A QUORATE-PODS -s {pods} -j ACCEPT
-A QUORATE-PODS -d {pods} -j ACCEPT
COMMIT
*nat
:QUORATE-MASQUERADE - [0:0]
-A QUORATE-MASQUERADE -s {pods} -d {pods} -j RETURN
-A QUORATE-MASQUERADE -s {pods} -d 224.0.0.0/4 -j RETURN
-A QUORATE-MASQUERADE -s {pods} -j MASQUERADE
COMMIT
RULES
  jump filter FORWARD QUORATE-PODS
  jump nat POSTROUTING QUORATE-MASQUERADE
}}
jump() {{
  iptables -w -t "$1" -C "$2" -j "$3" 2>/dev/null || iptables -w -t "$1" -I "$2" 1 -j "$3"
}}
leave() {{
  ip -4 route flush proto {PROTOCOL}
  unjump filter FORWARD QUORATE-PODS
  unjump nat POSTROUTING QUORATE-MASQUERADE
}}
if [ "$1" = leave ]; then leave; exit 0; fi
fill
while :; do
  # Begun before the list is read: whenever SIGHUP comes from now on, it ends this wait.
  sleep 10 &
  keep
  [ -z "$(/bin/sh "$0.check")" ] || fill
  wait $! || wait $!
done
"""


def check(pods: str) -> str:
    """A script that says which of the routes, and of the rules that let pod traffic pass, are not there."""
    return f"""\
#!/bin/sh
# What pods need of this host's routes and firewall and is not there; says nothing when all is as it should be.
PATH={PATH}
rules() {{ # TABLE CHAIN OURS COUNT WORDS
  iptables -w -t "$1" -C "$2" -j "$3" 2>/dev/null || {{ echo "$5: $2 does not lead to $3"; return; }}
  found=$(iptables -w -t "$1" -S "$3" | grep -c -- '^-A .*-s {pods} ')
  [ "$found" = "$4" ] || echo "$5: $3 has $found of $4 rules"
}}
rules filter FORWARD QUORATE-PODS 1 'the firewall does not let through what goes to pods and comes from them'
rules nat POSTROUTING QUORATE-MASQUERADE 3 'pods are not masqueraded on their way out'
have=$(ip -4 route show proto {PROTOCOL})
while read -r net via to _; do
  case $net in [0-9]*) ;; *) continue ;; esac
  case "
$have" in *"
$net $via $to "*) ;; *) echo "there is no route to the pods in $net $via $to" ;; esac
done <"${{0%.check}}.list"
"""
