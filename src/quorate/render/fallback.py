"""The judge of a change on its host: a script that asks whether what was started holds, and else puts all back.

It runs as a service of the host, so it ends its work though the operator's machine has died, and again after a reboot.
"""

from collections.abc import Mapping, Sequence

from quorate.render import token
from quorate.render.sh import PATH, heredoc, quote
from quorate.spec.layout import LOADED, STATE, UNITS, WANTS
from quorate.spec.outward import VARIABLES

BACK, SILENT = "what ran before is back", "what ran before does not answer either"
"""What became of a change that did not hold, as it is said in errors."""
PLACE = f"{STATE}/fallback"
"""`<part>/`: while a change of a part is judged, what ran before; `<part>.failed`: what did not hold, and why."""
HOLDS = 3
"""Good answers in a row, a second apart, that count as a change that holds."""
FORSAKEN_S = 900
"""Seconds after which files that nobody loaded go back, unless the change came to its end: whoever wrote them is
gone."""


SWEPT = f"""\
systemctl stop 'quorate-judge-*.service' 'quorate-fallback-*.service' 2>/dev/null || :
rm -f -- {WANTS}/quorate-fallback-*.service {UNITS}/quorate-fallback-*.service
"""
"""sh that ends all judges of a host and takes their units away: what is destroyed must not be put back."""


def unit(part: str) -> str:
    """The judge's service after a reboot."""
    return f"quorate-fallback-{token.name(part)}.service"


def transient(part: str) -> str:
    """The judge's service until then."""
    return f"quorate-judge-{token.name(part)}.service"


def place(part: str) -> str:
    """What the judge of a part has. Raises ValueError for what is no plain name."""
    return f"{PLACE}/{token.name(part)}"


def loaded(part: str, units: Sequence[str]) -> str:
    """sh that succeeds when a service has loaded something since the part's judge began to look."""
    return " || ".join(f"[ {LOADED}/{token.name(each)}.loaded -nt {place(part)}/armed ]" for each in units)


def gone(part: str) -> str:
    """sh that takes away what a judge has."""
    return f"rm -rf -- {place(part)}; rm -f -- {WANTS}/{unit(part)} {UNITS}/{unit(part)}"


def heard(part: str, digest: str) -> str:
    """sh that fails, and says why, when the judge has found that a change does not hold."""
    failed = f"{PLACE}/{token.name(part)}.failed"
    return f"""\
if grep -qxF digest={digest} {failed} 2>/dev/null; then
  n=0; while [ $n -lt 300 ] && ! grep -q ^back= {failed}; do n=$(( n + 1 )); sleep 1; done
  case $(sed -n 's/^back=//p' {failed}) in
  yes) echo "it did not hold, and {BACK}:" >&2;;
  *) echo "it did not hold, and {SILENT}:" >&2;;
  esac
  sed -n 's/^\\(why\\|said\\)=//p' {failed} >&2
  exit 1
fi"""


def went_back(error: str) -> bool | None:
    """What an error says of that: whether what ran before is back; None where nothing was put back."""
    return True if BACK in error else False if SILENT in error else None


def decided(part: str, digest: str) -> str:
    """The same, when the judge has ended."""
    ends = f"n=0; while [ -e {place(part)}/armed ] && [ $n -lt 900 ]; do n=$(( n + 1 )); sleep 1; done"
    return f"{ends}\n{heard(part, digest)}"


def forsaking(part: str, trial: str) -> str:
    """The body of a trial (see `resource.file`) at whose failure what was put in its place before goes back at once."""
    at = place(part)
    return f'q_tried() {{\n{trial}\n}}\nq_tried "$1" || {{ [ ! -e {at}/armed ] || : >{at}/forsaken; return 1; }}'


def begin(
    part: str,
    units: Sequence[str],
    paths: Sequence[str],
    *,
    check: str,
    within: int,
    digest: str,
    between: Mapping[str, str],
) -> str:
    """sh that waits for the judge of a change before, keeps what there is at `paths`, and starts the judge.

    `digest` is that of all that is about to come; the others are what `script` takes. Where files of a run that was cut
    off have never been loaded, what it kept is what runs, and stays kept.
    """
    at, judge, now = place(part), unit(part), transient(part)
    both, busy = f"{now} {judge}", quote(f"a change of {part} before is judged still")
    about = quote(f"whether a change of {part} holds")
    # The unit file is for after a reboot; systemd need not read all unit files anew for today's.
    return f"""\
n=0; while [ -e {at}/armed ] && {{ {loaded(part, units)}; }} && systemctl is-active -q {both}; do
  n=$(( n + 1 )); [ $n -lt {2 * within + 30} ] || {{ echo {busy} >&2; exit 1; }}; sleep 1; done
systemctl stop {both} 2>/dev/null || :
[ -e {at}/armed ] || rm -rf -- {at}
mkdir -p {at}/was; : >>{at}/paths
for p in {" ".join(map(quote, paths))}; do
  if grep -qxF -- "$p" {at}/paths; then continue; fi
  if [ -e "$p" ] || [ -L "$p" ]; then
    mkdir -p "{at}/was${{p%/*}}"
    cp -al -- "$p" "{at}/was$p" 2>/dev/null || cp -a -- "$p" "{at}/was$p" ||
      lacks {at}/was
  fi
  printf '%s\\n' "$p" >>{at}/paths
done
rm -f -- {at}.failed {at}/forsaken
settle 0600 root:root {at}/judge {heredoc(script(part, units, check, within, between))}
settle 0644 root:root {UNITS}/{judge} {heredoc(service(part))}
ln -sfn -- {UNITS}/{judge} {WANTS}/{judge}
printf '%s\\n' {quote(digest)} >{at}/digest; : >{at}/armed; sync -- {at}/*
systemd-run -q --collect --unit={now} --description={about} /bin/sh {at}/judge"""


def end(part: str) -> str:
    """sh that ends the judge, and forgets what it kept and found."""
    return (
        f"systemctl stop {transient(part)} {unit(part)} 2>/dev/null || :\n{gone(part)}; rm -f -- {place(part)}.failed"
    )


def service(part: str) -> str:
    """The unit file by which the judge begins again after a reboot."""
    return f"""\
[Unit]
Description=whether a change of {part} holds
ConditionPathExists={place(part)}/armed

[Service]
ExecStart=/bin/sh {place(part)}/judge

[Install]
WantedBy=multi-user.target
"""


def script(part: str, units: Sequence[str], check: str, within: int, between: Mapping[str, str]) -> str:
    """A sh script that judges. `check` is sh that succeeds when the part answers, `within` how many seconds it has.
    `between` has sh by unit, for when that is at rest.

    Raises ValueError for what is no plain name or number.
    """
    names = " ".join(token.name(each) for each in units)
    resting = "".join(
        f"""    if [ "$each" = {quote(token.name(each))} ]; then
      systemctl stop "$each"
      (
{text}
      )
    fi
"""
        for each, text in between.items()
    )
    return f"""\
#!/bin/sh
# Does a change of {part} hold? If not, files and services go back to what ran before.
# What systemd gives all services by default, such as a proxy, is not for what is asked here.
export LC_ALL=C HOME=/root PATH={PATH}; unset {" ".join(VARIABLES)}
part={quote(token.name(part))} units={quote(names)}
place={PLACE}/$part failed={PLACE}/$part.failed within={token.number(within, 1, 3600)}
answers() {{
  (
{check}
  ) >/dev/null 2>&1
}}
now() {{ read -r up _ </proc/uptime; echo "${{up%.*}}"; }}
# Each service notes at its start, and at a reload, what it loads.
loaded() {{ {loaded(part, units)}; }}
over() {{ {gone(part)}; exit 0; }}
said() {{ # UNIT: its own last words since then, else what systemd says of it
  for of in _SYSTEMD_UNIT UNIT; do
    words=$(journalctl -q -n 3 -o cat --no-pager --since "@$(stat -c %Y "$place/armed")" "$of=$1")
    [ -z "$words" ] || {{ printf '%s\\n' "$words" | cut -c 1-300 | sed 's/^/said=/'; break; }}
  done
}}
back() {{ # WHY, or nothing where nothing was loaded
  [ -z "$1" ] || {{
    {{ printf 'digest=%s\\nwhen=%s\\nwhy=%s\\n' "$(cat "$place/digest")" "$(date -u +%FT%TZ)" "$1"
    for each in $units; do said "$each"; done
    }} >"$failed.new"; mv -f -- "$failed.new" "$failed"
  }}
  echo "$part: ${{1:-nobody went on with its files}}; what was before comes back"
  while IFS= read -r path; do
    if [ -e "$place/was$path" ] || [ -L "$place/was$path" ]; then
      rm -f -- "$path.quorate-new"
      cp -al -- "$place/was$path" "$path.quorate-new" 2>/dev/null || cp -a -- "$place/was$path" "$path.quorate-new"
      mv -fT -- "$path.quorate-new" "$path"
    else
      rm -f -- "$path"
    fi
  done <"$place/paths"
  systemctl daemon-reload
  [ "$1" ] || over
  for each in $units; do
    systemctl reset-failed "$each" 2>/dev/null
{resting}    timeout "$within" systemctl restart "$each"
  done
  begun=$(now) came=no
  while [ $(($(now) - begun)) -lt "$within" ]; do
    if answers; then came=yes; break; fi
    sleep 1
  done
  echo "back=$came" >>"$failed"
  over
}}
begun= good=0 armed=$(now)
while [ -e "$place/armed" ]; do
  if loaded; then
    begun=${{begun:-$(now)}}
    if answers; then good=$((good + 1)); else good=0; fi
    if [ $good -ge {HOLDS} ]; then rm -f -- "$failed"; over; fi
    [ $(($(now) - begun)) -lt "$within" ] || back "did not answer within $within s"
  elif [ -e "$place/forsaken" ] || [ $(($(now) - armed)) -ge {FORSAKEN_S} ]; then
    back
  fi
  sleep 1
done
"""
