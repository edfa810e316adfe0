"""A throw-away etcd from a snapshot, and an API server on it: what a backup is proved with.

All of it lies in one private folder and listens on unix sockets there, so nobody else can reach it and no port can be
taken. A snapshot's trailing checksum is looked at by `restore` alone; `status` passes over it.
"""

from collections.abc import Sequence

from quorate.render.sh import quote, sh

SERVES = "unix://client:1"
"""Where it serves, as seen from its folder: etcd 3.4 wants a port in every URL, and takes it for a part of the name."""
_READY = "/readyz?exclude=informer-sync&exclude=poststarthook/storage-readiness"
"""Ready but for its caches: with one object that it can't read, they never are, and nobody would hear which it is."""
PAGE = 2000
"""Keys that are asked for at once: etcd reads their values as well."""

OBJECTS = "/registry/"
"""What the keys of Kubernetes' objects begin with."""
KEYS = f"""\
q_keys() {{
  q_rev=$1 q_from= q_skip=1
  shift
  : >keys
  while :; do
    "$@" get "$q_from" --from-key --limit={PAGE} --keys-only --consistency=s --rev="${{q_rev:-0}}" >page || return 1
    grep -v '^$' page | tail -n +$q_skip >found || :
    [ -s found ] || break
    cat found >>keys
    q_from=$(tail -n 1 found) q_skip=2
  done
  rm -f page found
}}"""
"""sh that defines `q_keys`, which needs nothing of the others."""


def functions(programs: str, restorers: Sequence[str], quota: int) -> str:
    """sh functions of the current folder. `programs` is the folder of etcd's, `quota` etcd's limit in bytes.

    `q_utl ...`      what restores: the first of `restorers` that is there
    `q_serve N`      restores ./snapshot.db into ./proof and serves it within N seconds; `q_end` ends it
    `q_own ...`      etcdctl, asking it
    `q_pick NAME`    the value of a field in the JSON on stdin
    `q_keys REV CTL` writes the keys at a revision, or as they are now without one, into ./keys, as etcdctl tells them
    `q_counts`       counts those, a line `N PREFIX` for each prefix
    """
    first = " ".join(map(quote, restorers))
    return f"""\
q_fail() {{ echo "$1" >&2; exit 1; }}
q_why() {{ grep -v '^[IW][0-9]\\|"level":"\\(info\\|warn\\)"' "$1" | tail -n 1 | cut -c1-300; }}
q_stop() {{ kill -9 "$1" 2>/dev/null || :; wait "$1" 2>/dev/null || :; }}
q_pick() {{ sed -n "s/.*\\"$1\\":\\"\\{{0,1\\}}\\([^,\\"}}]*\\).*/\\1/p" | head -n 1; }}
# etcd says -1 as long as it has compacted nothing.
q_compacted() {{ q_pick compact_revision | sed 's/^-1$/0/'; }}
q_utl() {{
  for q_p in {first}; do
    if [ -x {quote(programs)}/"$q_p" ]; then {quote(programs)}/"$q_p" "$@"; return; fi
  done
  q_fail "neither of {", ".join(restorers)} is in {programs}: the artifact source has to bring it"
}}
q_own() {{ {quote(programs)}/etcdctl --endpoints={SERVES} "$@"; }}
q_serve() {{
  q_token=$(od -An -tx1 -N16 /dev/urandom | tr -d ' \\n')
  rm -rf proof
  q_utl snapshot restore snapshot.db --data-dir=proof --name=proof --initial-cluster=proof=unix://peer:1 \\
    --initial-advertise-peer-urls=unix://peer:1 --initial-cluster-token="$q_token" >restore.log 2>&1 ||
    q_fail "the snapshot can't be restored: $(q_why restore.log)"
  {quote(programs)}/etcd --name=proof --data-dir=proof --logger=zap --quota-backend-bytes={quota} \\
    --listen-client-urls={SERVES} --advertise-client-urls={SERVES} --listen-peer-urls=unix://peer:1 \\
    --initial-advertise-peer-urls=unix://peer:1 --initial-cluster=proof=unix://peer:1 >etcd.log 2>&1 &
  q_etcd=$!
  q_until=$(( $(date +%s) + $1 ))
  until q_own get --limit=1 --keys-only / >/dev/null 2>&1; do
    kill -0 $q_etcd 2>/dev/null || q_fail "etcd ended on what was restored: $(q_why etcd.log)"
    [ "$(date +%s)" -lt "$q_until" ] || q_fail "etcd does not answer on what was restored within $1 s"
    sleep 0.2
  done
}}
q_end() {{ if [ -n "${{q_etcd-}}" ]; then q_stop "$q_etcd"; q_etcd=; fi; }}
{KEYS}
q_counts() {{ sed 's/[^A-Za-z0-9._/:~@-]/?/g' keys | cut -d/ -f1-3 | sort | uniq -c | sed 's/^ *//'; }}
"""


def counted(rev: str) -> str:
    """sh that sets `total`, `hash` and `compact` to what the served one has at a revision (a word of sh)."""
    return f"""\
total=$(q_own get '' --from-key --limit=1 --keys-only --consistency=s --rev={rev} -w fields | sed -n 's/^"Count" : //p')
said=$(q_own endpoint hashkv --rev={rev} -w json)
hash=$(printf '%s' "$said" | q_pick hash) compact=$(printf '%s' "$said" | q_compacted)
"""


def api_server(programs: str, flags: Sequence[str], services: str) -> str:
    """sh functions: `q_api N` starts an API server on the served etcd, ready within N seconds; `q_api_end` ends it;
    `q_ctl ...` is kubectl, asking it.

    It has no admission webhooks to ask for reads, believes one token that lies in the folder, and changes nothing but
    the throw-away. `flags` are those that read what is stored: keys above all. `services` is the service network.
    """
    words = sh(
        *(f"--etcd-servers={SERVES}", "--cert-dir=certs", "--bind-address=127.0.0.1", "--advertise-address=192.0.2.1"),
        *("--endpoint-reconciler-type=none", "--authorization-mode=AlwaysAllow", "--anonymous-auth=false"),
        *("--token-auth-file=token", f"--service-cluster-ip-range={services}", *flags),
    )
    return f"""\
q_ctl() {{ {quote(programs)}/kubectl --kubeconfig=kubeconfig --cache-dir=cache "$@"; }}
q_api() {{
  q_word=$(od -An -tx1 -N16 /dev/urandom | tr -d ' \\n')
  printf '%s,prover,1\\n' "$q_word" >token
  q_until=$(( $(date +%s) + $1 )) q_server=
  until [ -n "$q_server" ] && q_ctl get --raw '{_READY}' >/dev/null 2>ready.log; do
    if [ -z "$q_server" ] || ! kill -0 "$q_server" 2>/dev/null; then
      if [ -n "$q_server" ] && ! grep -q 'address already in use' api.log; then
        q_fail "the API server ended on what was restored: $(q_why api.log)"
      fi
      q_port=$(( 20000 + $(od -An -tu2 -N2 /dev/urandom) % 12000 ))
      printf '%s\\n' 'apiVersion: v1' 'kind: Config' 'current-context: c' \\
        "clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:$q_port'," \\
        "  certificate-authority: certs/apiserver.crt}}}}]" "users: [{{name: u, user: {{token: $q_word}}}}]" \\
        'contexts: [{{name: c, context: {{cluster: c, user: u}}}}]' >kubeconfig
      {quote(programs)}/kube-apiserver --secure-port=$q_port {words} >api.log 2>&1 &
      q_server=$!
    fi
    [ "$(date +%s)" -lt "$q_until" ] ||
      q_fail "the API server is not ready on what was restored within $1 s: $(q_why ready.log)"
    sleep 0.5
  done
}}
q_api_end() {{ if [ -n "${{q_server-}}" ]; then q_stop "$q_server"; q_server=; fi; }}
"""


def listed() -> str:
    """sh that lists every resource through it, pages of 500, and prints `seen NAME NUMBER`.

    One object that can't be decrypted or decoded fails the list of its kind. Resources whose versions a webhook
    converts, and those of other servers, are passed over: neither runs here.
    """
    return """\
q_ctl get customresourcedefinitions \
  -o jsonpath='{range .items[?(@.spec.conversion.strategy=="Webhook")]}{.metadata.name}{"\\n"}{end}' >converted ||
  q_fail "definitions of resources can't be read"
q_ctl api-resources --verbs=list -o name 2>names.log >names || [ -s names ] || q_fail "$(q_why names.log)"
grep -vx componentstatuses names | sort -u | while read -r name; do
  if grep -qxF "$name" converted; then echo "seen - 1"; continue; fi
  q_ctl get "$name" --all-namespaces --chunk-size=500 -o name >list 2>list.log </dev/null ||
    q_fail "$name can't be read: $(q_why list.log)"
  echo "seen $name $(wc -l <list)"
done
"""


def moved(folder: str, *, api: bool) -> str:
    """sh that goes to a private folder, stops at what fails, and ends all that it started, whatever happens."""
    ends = "q_api_end; q_end" if api else "q_end"
    return (
        f"set -eu; umask 077; cd {quote(folder)}\n"
        f"trap '{ends}' EXIT; trap 'exit 143' HUP INT TERM; trap 'exit 141' PIPE\n"
    )
