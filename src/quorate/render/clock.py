"""Scripts that write time servers where the daemon that runs reads them, and take them away."""

from collections.abc import Iterator, Sequence

from quorate.render.sh import quote
from quorate.spec.layout import NTP_NOTE

BEGIN, END = "# begin quorate", "# end quorate"


def check(names: Sequence[str]) -> str:
    """sh that prints `servers=NAMES` when they stand where the daemon that runs reads them."""
    told = quote(f"servers={' '.join(names)}")
    return (
        f"{_find(names)}{_CUT}"
        f'[ -n "$q_file" ] || exit 0\nif [ "$(ours "$q_file")" = "$q_want" ] && '
        f'[ "$(cat {NTP_NOTE} 2>/dev/null)" = "$q_file" ]; then echo {told}; fi'
    )


def write(names: Sequence[str]) -> str:
    """sh that writes them for the daemon that runs, and takes them away from where one before has read them."""
    return (
        f"{_find(names)}{_CUT}"
        '[ -n "$q_file" ] || { echo "neither chrony nor systemd-timesyncd runs" >&2; exit 1; }\n'
        f'q_was=$(cat {NTP_NOTE} 2>/dev/null) || :; [ -z "$q_was" ] || [ "$q_was" = "$q_file" ] || cut "$q_was"\n'
        'umask 022; mkdir -p -- "${q_file%/*}"; umask 077\n'
        '{ others "$q_file"; printf "%s\\n" "$q_want"; } | settle 0644 root:root "$q_file"\n'
        f"load\nprintf '%s\\n' \"$q_file\" | settle 0644 root:root {NTP_NOTE}"
    )


def undo(names: Sequence[str]) -> str:
    """sh that takes them away."""
    return (
        f"{_find(names)}{_CUT}"
        f'q_was=$(cat {NTP_NOTE} 2>/dev/null) || :; if [ -n "$q_was" ]; then cut "$q_was"; rm -f {NTP_NOTE}; load; fi'
    )


def _find(names: Sequence[str]) -> str:
    """sh that finds out which daemon runs, which file of its own it reads, and what has to stand there."""
    return _FIND.format(
        chrony=quote(_block(f"server {name} iburst prefer" for name in names)),
        timesyncd=quote(_block(["[Time]", f"NTP={' '.join(names)}"])),
    )


def _block(lines: Iterator[str] | Sequence[str]) -> str:
    return "\n".join([BEGIN, *lines, END])


_FIND = """\
q_file= q_want= q_unit=
for q_each in chronyd chrony systemd-timesyncd; do
  if systemctl is-active -q $q_each; then q_unit=$q_each; break; fi
done
case $q_unit in
chron*)
  q_want={chrony} q_conf=/etc/chrony/chrony.conf
  [ -e "$q_conf" ] || q_conf=/etc/chrony.conf
  folder() {{ sed -n "s|^[[:blank:]]*$1[[:blank:]]\\{{1,\\}}\\(/etc/[^[:blank:]]*\\).*|\\1|p" "$q_conf" | head -n 1; }}
  q_sources=$(folder sourcedir) q_confs=$(folder confdir)
  if [ -n "$q_sources" ]; then q_file=$q_sources/quorate.sources
  elif [ -n "$q_confs" ]; then q_file=$q_confs/quorate.conf
  else q_file=$q_conf; fi;;
?*) q_want={timesyncd} q_file=/etc/systemd/timesyncd.conf.d/zz-quorate.conf;;
esac
"""
"""Which daemon runs, which file it reads that is not somebody else's, and what has to stand there."""

_CUT = f"""\
ours() {{ sed -n '/^{BEGIN}$/,/^{END}$/p' "$1" 2>/dev/null || :; }}
others() {{ [ ! -e "$1" ] || sed '/^{BEGIN}$/,/^{END}$/d' "$1"; }}
cut() {{
  [ -e "$1" ] || return 0
  if [ -n "$(others "$1")" ]; then others "$1" | settle 0644 root:root "$1"; else rm -f -- "$1"; fi
  case $1 in */timesyncd.conf.d/*) rmdir -- "${{1%/*}}" 2>/dev/null || :;; esac
}}
load() {{
  case $q_file in
  "") ;;
  *.sources) chronyc reload sources >/dev/null 2>&1 || systemctl try-restart "$q_unit";;
  *) systemctl try-restart "$q_unit";;
  esac
}}
"""
