"""sh by which an etcd host brings backups to other places: by SFTP, and to a store that speaks S3.

Each place is three functions, `put_N FILE NAME`, `list_N` and `drop_N NAME`; the first puts a file there whole or not
at all. Passwords and keys come from files of the host and never into an argument of a process. Requests of S3 are
signed by the shell itself: curl does it since 7.75 alone, and the first that did left out the content.
"""

from collections.abc import Iterator, Sequence

from quorate.render.sh import quote, sh
from quorate.spec.layout import BACKUP
from quorate.spec.sections import Place, S3Place, SshPlace

PUT_LIMIT_BYTES = 5 * 2**30
"""Bytes that S3 takes in one request."""
STALLED_S = 120
"""Seconds without progress after which a transfer is given up."""


def key_file(index: int) -> str:
    """The private key of an SSH place, on the host."""
    return f"{BACKUP}/key-{index}"


def known_hosts_file(index: int) -> str:
    """Its pinned host keys."""
    return f"{BACKUP}/known-hosts-{index}"


def login_file(index: int) -> str:
    """`ACCESS_KEY:SECRET_KEY` of an S3 place, on the host."""
    return f"{BACKUP}/login-{index}"


def ca_file(index: int) -> str:
    """The authority of its certificate."""
    return f"{BACKUP}/ca-{index}"


def label(place: Place) -> str:
    """How a place is called in lists and notes: one word."""
    if place.ssh:
        return f"sftp://{place.ssh.user}@{place.ssh.host}:{place.ssh.port}{place.ssh.path}"
    if place.s3:
        return "/".join(filter(None, (place.s3.endpoint.rstrip("/"), place.s3.bucket, place.s3.prefix)))
    return str(place.folder)


def remote(places: Sequence[Place]) -> tuple[tuple[int, Place], ...]:
    """The places that a host reaches by itself, with their numbers in the file."""
    return tuple((index, place) for index, place in enumerate(places) if place.ssh or place.s3)


def functions(places: Sequence[Place]) -> str:
    """The functions of all places that a host reaches; they use the folder `$work`."""
    return "".join(_functions(places))


def _functions(places: Sequence[Place]) -> Iterator[str]:
    if any(place.s3 for place in places):
        yield SIGNED
    for index, place in remote(places):
        if place.ssh:
            yield _ssh(index, place.ssh)
        elif place.s3:
            yield _s3(index, place.s3)


def _ssh(index: int, place: SshPlace) -> str:
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityFile": key_file(index),
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": known_hosts_file(index),
        "GlobalKnownHostsFile": "/dev/null",
        "ConnectTimeout": "15",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": str(STALLED_S // 15),
    }
    words = [word for name, given in options.items() for word in ("-o", f"{name}={given}")]
    sftp = sh("sftp", "-q", "-b", "-", "-F", "/dev/null", "-P", str(place.port), *words, f"{place.user}@{place.host}")
    # Its answer comes after what it was told, line by line.
    return f"""\
sftp_{index}() {{
  {sftp} >"$work/answer" 2>"$work/why" || {{ tail -n 1 "$work/why" >&2; return 1; }}
}}
# `put -f` has it written through, where the server can; `rename` replaces what is there.
put_{index}() {{
  printf '%s\\n' {quote(f"-mkdir {place.path}")} {quote(f"cd {place.path}")} "put -f $1 .$2.part" \\
    "rename .$2.part $2" | sftp_{index}
}}
list_{index}() {{
  printf '%s\\n' {quote(f"-mkdir {place.path}")} {quote(f"cd {place.path}")} 'ls -1a' | sftp_{index} || return
  sed '/^sftp>/d; s/[[:space:]]*$//' "$work/answer"
}}
drop_{index}() {{ printf 'rm %s/%s\\n' {quote(place.path)} "$1" | sftp_{index}; }}
"""


def _s3(index: int, place: S3Place) -> str:
    scheme, _, rest = place.endpoint.rstrip("/").partition("://")
    host, slash, path = rest.partition("/")
    before = f"{place.prefix}/" if place.prefix else ""
    quoted = before.replace("/", "%2F")
    ca = ca_file(index) if place.ca_file else ""
    given = sh("s3", scheme, host, f"{slash}{path}/{place.bucket}", place.region, login_file(index), ca)
    return f"""\
s3_{index}() {{ {given} "$@"; }}
put_{index}() {{
  [ "$(stat -c %s -- "$1")" -le {PUT_LIMIT_BYTES} ] ||
    {{ echo "$2 has more than the {PUT_LIMIT_BYTES} bytes that S3 takes in one request; \\`quorate backup\\` on the" \\
      "operator's machine sends it in parts, and an ssh place takes it as it is" >&2; return 1; }}
  s3_{index} PUT "/{before}$2" '' "$1"
}}
list_{index}() {{
  q_after=
  while :; do
    s3_{index} GET '' "list-type=2&max-keys=1000&prefix={quoted}${{q_after:+&start-after=$q_after}}" '' || return
    {{ sed 's/<Key>/\\n<Key>/g' "$work/answer"; echo; }} |
      sed -n 's|^<Key>{before}\\([^<]*\\)</Key>.*|\\1|p' >"$work/names"
    cat "$work/names"
    if [ ! -s "$work/names" ] || ! grep -q '<IsTruncated>true' "$work/answer"; then return 0; fi
    q_after={quoted}$(tail -n 1 "$work/names")
  done
}}
drop_{index}() {{ s3_{index} DELETE "/{before}$1" '' ''; }}
"""


SIGNED = r"""# octets HEX [MASK]: for printf, the bytes that these digits mean, each changed by the mask.
octets() {
  q_hex=$1 q_out=
  while [ -n "$q_hex" ]; do
    q_rest=${q_hex#??}
    q_out="$q_out\\$(printf %03o $((0x${q_hex%"$q_rest"} ^ ${2:-0})))"
    q_hex=$q_rest
  done
  printf %s "$q_out"
}
hex() { od -An -v -tx1 | tr -d ' \n'; }
sha256() { q_sha=$(sha256sum) && printf %s "${q_sha%% *}"; }
# hmac KEY: HMAC-SHA256 of stdin under a key in hex, itself in hex (RFC 2104).
hmac() {
  q_key=$1
  # What printf of the shell itself is told is no argument of a process.
  [ ${#q_key} -le 128 ] || q_key=$(printf "$(octets "$q_key")" | sha256)
  while [ ${#q_key} -lt 128 ]; do q_key=${q_key}00; done
  q_inner=$({ printf "$(octets "$q_key" 0x36)"; cat; } | sha256)
  printf "$(octets "$q_key" 0x5c)$(octets "$q_inner")" | sha256
}
# s3 SCHEME HOST BUCKET REGION LOGIN CA METHOD KEY QUERY FILE: one request, whose answer is in $work/answer.
s3() {
  q_tries=1
  until s3_once "$@"; do
    # What the store refuses it would refuse again.
    case $q_tries$q_code in 3* | ?4??) cat "$work/why" >&2; return 1 ;; esac
    sleep "$((q_tries * 2))"
    q_tries=$((q_tries + 1))
  done
}
# Signed by AWS Signature Version 4, content included: what was changed on the way is refused.
s3_once() {
  IFS=: read -r q_id q_secret <"$5"
  q_now=$(date -u +%Y%m%dT%H%M%SZ)
  q_day=${q_now%T*}
  q_sum=$(sha256 <"${10:-/dev/null}")
  q_query=$(printf %s "$9" | tr '&' '\n' | sort | tr '\n' '&')
  q_query=${q_query%&}
  q_heads="host;x-amz-content-sha256;x-amz-date"
  q_scope="$q_day/$4/s3/aws4_request"
  q_asked=$(printf '%s\n%s\n%s\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n\n%s\n%s' \
    "$7" "$3$8" "$q_query" "$2" "$q_sum" "$q_now" "$q_heads" "$q_sum" | sha256)
  q_sign=$(printf %s "AWS4$q_secret" | hex)
  for q_word in "$q_day" "$4" s3 aws4_request; do q_sign=$(printf %s "$q_word" | hmac "$q_sign"); done
  q_sign=$(printf 'AWS4-HMAC-SHA256\n%s\n%s\n%s' "$q_now" "$q_scope" "$q_asked" | hmac "$q_sign")
  {
    printf 'url = "%s://%s%s%s"\n' "$1" "$2" "$3$8" "${q_query:+?$q_query}"
    printf 'request = "%s"\n' "$7"
    printf 'header = "x-amz-date: %s"\nheader = "x-amz-content-sha256: %s"\n' "$q_now" "$q_sum"
    printf 'header = "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s"\n' \
      "$q_id" "$q_scope" "$q_heads" "$q_sign"
    [ -z "$6" ] || printf 'cacert = "%s"\n' "$6"
    # Without the header curl first waits to be told to go on, which not all stores do.
    [ -z "${10}" ] || printf 'upload-file = "%s"\nheader = "Expect:"\n' "${10}"
  } >"$work/request"
  : >"$work/answer"
  q_code=$(curl -sS --noproxy '*' -K "$work/request" -o "$work/answer" -w '%{http_code}' --connect-timeout 15 \
    --speed-limit 1 --speed-time STALLED 2>"$work/why") || q_code=000
  rm -f -- "$work/request"
  case $q_code in
  2??) return 0 ;;
  000) return 1 ;;
  esac
  q_said=$(sed -n 's|.*<Code>\([^<]*\)</Code>.*|\1|p' "$work/answer" | head -n 1)
  echo "$2 answers $q_code${q_said:+ ($q_said)} to $7 $3$8" >"$work/why"
  return 1
}
""".replace("STALLED", str(STALLED_S))
