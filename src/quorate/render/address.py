"""The watch of the virtual IP: a script beside keepalived that puts the address back when others have taken it.

keepalived is told by the kernel when its address goes, yields, and is elected again. What it is not told, or finds
changed while it changes the same itself, it never asks about: then the instance is MASTER and the address nowhere.
"""

from quorate.render import token
from quorate.render.keepalived import NAMED
from quorate.render.sh import PATH, quote

LOOK_S = 1
AGAIN_S = 0.3
"""Between seeing that the address is gone and putting it back: time for keepalived, which does it by itself within
milliseconds, and has the first word."""


def script(conf: str) -> str:
    """A sh script that sees to it that the addresses of `conf` are there while this host's keepalived is MASTER.

    That is told by the address that adverts name: keepalived sets it before those of the configuration, and takes it
    away before them. So an address that was put back while it was still there is one that keepalived takes away when
    it yields, and one that was put back too late goes at once. The neighbours' ARP tables are right: the address comes
    back to the host that had it. Raises ValueError for what is no plain path.
    """
    return f"""\
#!/bin/sh
# Is the virtual IP there while keepalived on this host holds it? Somebody else may have taken it away.
PATH={PATH}
conf={quote(token.path(conf))}
held() {{ ip -4 -o address show dev lo to {NAMED}/32 | grep -q .; }}
there() {{ ip -4 -o address show dev "$2" to "${{1%/*}}/32" | grep -q .; }}
wanted() {{
  sed -n '/virtual_ipaddress_excluded/,/}}/s/^ *\\([0-9.]*\\/[0-9]*\\) dev \\([^ ]*\\).*/\\1 \\2/p' "$conf"
}}
while sleep {LOOK_S}; do
  held || continue
  wanted | while read -r address link; do
    there "$address" "$link" && continue
    sleep {AGAIN_S}
    if held && ! there "$address" "$link" && ip address add "$address" dev "$link"; then
      if held; then echo "$address was taken from $link; it is put back"; else ip address del "$address" dev "$link"; fi
    fi
  done
done
"""
