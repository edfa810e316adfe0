"""What a running cluster is asked before an upgrade: kubectl's lists, reduced on the host to what the judges need.

Each question is answered in lines, of which the last is `asked` where the API server gave the whole list. Templates are
those of Go: `range` and `with` over what is not there do nothing, and `printf "%v"` makes words of anything.
"""

from collections.abc import Iterable

from quorate.render.sh import quote

SHOWN = 20
"""Objects, and pods of one, that are named at most."""
HOOKS = (
    "{{range .items}}{{$of := .kind}}{{$in := .metadata.name}}{{range .webhooks}}"
    '{{if ne (printf "%v" .failurePolicy) "Ignore"}}{{$hook := .name}}{{with .clientConfig}}{{with .service}}'
    '{{.namespace}} {{.name}} {{$of}}/{{$in}} {{$hook}}{{"\\n"}}'
    "{{end}}{{end}}{{end}}{{end}}{{end}}"
)
READY = '{{range .items}}{{range .endpoints}}{{if ne (printf "%v" .conditions.ready) "false"}}x{{end}}{{end}}{{end}}'
NODES = (
    "{{range .items}}{{.metadata.name}}{{range .status.conditions}}"
    '{{if eq .type "Ready"}} {{.status}} {{.reason}}{{end}}{{end}}{{"\\n"}}{{end}}'
)
API_SERVICES = (
    "{{range .items}}{{$of := .metadata.name}}{{range .status.conditions}}"
    '{{if eq .type "Available"}}{{if ne .status "True"}}{{$of}} {{.reason}}{{"\\n"}}{{end}}{{end}}{{end}}{{end}}'
)
CRDS = (
    "{{range .items}}{{.metadata.name}}{{range .status.storedVersions}} {{.}}{{end}} served"
    '{{range .spec.versions}}{{if .served}} {{.name}}{{end}}{{end}}{{"\\n"}}{{end}}'
)
BUDGETS = (
    '{{range .items}}{{if eq (printf "%v" .status.disruptionsAllowed) "0"}}{{.metadata.namespace}} {{.metadata.name}} '
    "{{with .spec.selector}}{{range $key, $value := .matchLabels}}{{$key}}={{$value}},{{end}}"
    "{{range .matchExpressions}}"
    '{{if eq .operator "Exists"}}{{.key}}{{else if eq .operator "DoesNotExist"}}!{{.key}}'
    '{{else}}{{.key}} {{if eq .operator "In"}}in{{else}}notin{{end}} '
    "({{range $n, $value := .values}}{{if $n}},{{end}}{{$value}}{{end}}){{end}}"
    ",{{end}}{{end}}"
    '{{"\\n"}}{{end}}{{end}}'
)
"""Those that allow nothing, with their selector as kubectl takes it and a comma."""
WHERE = '{{range .items}}{{with .spec.nodeName}}on {{.}} {{end}}{{.metadata.name}}{{"\\n"}}{{end}}'
LOCAL_CLAIMS = (
    "{{range .items}}{{if or .spec.local .spec.hostPath}}{{with .spec.claimRef}}"
    'claim {{.namespace}}/{{.name}}{{"\\n"}}{{end}}{{end}}{{end}}'
)
PODS = (
    "{{range .items}}{{$in := .metadata.namespace}}pod {{$in}}/{{.metadata.name}} {{.status.phase}} "
    "owner:{{range .metadata.ownerReferences}}{{if .controller}}{{.kind}}{{end}}{{end}}"
    "{{range .spec.volumes}}{{range $kind, $value := .}} {{$kind}}{{end}}"
    "{{with .persistentVolumeClaim}} claim:{{$in}}/{{.claimName}}{{end}}{{end}}"
    '{{"\\n"}}{{end}}'
)
LOST = """\
function told(kind) { if (++count[kind] <= 3) print kind, $2 }
$1 == "asked" { whole = 1; next }
$1 == "claim" { pinned["claim:" $2] = 1; next }
$1 != "pod" || $3 == "Succeeded" || $3 == "Failed" || $4 == "owner:DaemonSet" || $4 == "owner:Node" { next }
{
  if ($4 == "owner:") told("bare")
  split("", seen)
  for (i = 5; i <= NF; i++) {
    kind = ($i in pinned) ? "local" : $i
    if ((kind == "emptyDir" || kind == "hostPath" || kind == "local") && !seen[kind]++) told(kind)
  }
}
END { for (kind in count) print "count", kind, count[kind]; if (whole) print "asked" }
"""
"""Of lines of `LOCAL_CLAIMS` and `PODS`: how many pods a drain takes something from, by what, and some of each."""


def listed(run: str, kinds: str, template: str) -> str:
    """sh: a line of each object that the template has something to say of."""
    return f"{run} get {kinds} -o go-template={quote(template)} && echo asked"


def webhooks(run: str) -> str:
    """sh: each webhook that fails closed, its service, and whether that has endpoints: `ready`, `none` or nothing."""
    hooks = f"{run} get validatingwebhookconfigurations,mutatingwebhookconfigurations -o go-template={quote(HOOKS)}"
    slices = f"{run} get endpointslices.discovery.k8s.io -o go-template={quote(READY)}"
    kind = f"{run} get service -o go-template='{{{{.spec.type}}}}'"
    return f"""\
hooks=$({hooks}) || exit 0
last=
printf '%s\\n' "$hooks" | sort | while read -r ns svc of hook; do
  [ -n "$hook" ] || continue
  if [ "$ns/$svc" != "$last" ]; then
    last=$ns/$svc how=
    if x=$({slices} -n "$ns" -l "kubernetes.io/service-name=$svc"); then how=${{x:+ready}}; how=${{how:-none}}; fi
    if [ "$how" = none ] && [ "$({kind} -n "$ns" "$svc")" = ExternalName ]; then how=; fi
  fi
  echo "$of $hook $ns/$svc $how"
done
echo asked"""


def budgets(run: str) -> str:
    """sh: each budget that allows no disruption, and the pods that it is about, with their nodes."""
    return f"""\
budgets=$({run} get poddisruptionbudgets -A -o go-template={quote(BUDGETS)}) || exit 0
printf '%s\\n' "$budgets" | sed {SHOWN}q | while read -r ns name selector; do
  [ -n "$name" ] || continue
  echo "budget $ns/$name"
  {run} get pods -n "$ns" -l "${{selector%,}}" -o go-template={quote(WHERE)} | sed {SHOWN}q
done
echo asked"""


def lost_pods(run: str) -> str:
    """sh: how many pods a drain takes something from that does not come back elsewhere; see `LOST`."""
    claims = f"{run} get persistentvolumes -o go-template={quote(LOCAL_CLAIMS)}"
    pods = f"{run} get pods -A -o go-template={quote(PODS)}"
    return f"{{ {claims}; {pods} && echo asked; }} | awk {quote(LOST)}"


def served(run: str, gone: Iterable[str]) -> str:
    """sh: what an API server says of its version, of requests to deprecated APIs since it runs, and how many objects
    of resources it has that go without another in their place.
    """
    names = "\\|".join(gone) or "-"
    stored = f's/^[a-z_]*_object[a-z_]*{{.*resource="\\({names}\\)".*}} \\([1-9].*\\)$/stored \\1 \\2/p'
    used = "s/^apiserver_requested_deprecated_apis{\\(.*\\)} [1-9].*$/used \\1/p"
    only = f"sed -n -e {quote(used)} -e {quote(stored)} -e '/^asked$/p'"
    return f"echo asking\n{run} get --raw /version; echo\n{{ {run} get --raw /metrics && echo asked; }} | {only}"


def written(run: str, of: Iterable[tuple[str, str, str]]) -> str:
    """sh: objects that somebody but the control plane last wrote in a version of an API, and who; `of` has resource,
    that version, and the one to ask for them in.
    """
    asked = []
    for resource, api, instead in of:
        group, _, version = instead.rpartition("/")
        template = (
            "{{range .items}}{{$of := .metadata}}{{range .metadata.managedFields}}"
            f'{{{{if eq .apiVersion "{api}"}}}}{resource}/{{{{with $of.namespace}}}}{{{{.}}}}/{{{{end}}}}'
            f'{{{{$of.name}}}} {api} {{{{.manager}}}}{{{{"\\n"}}}}{{{{end}}}}{{{{end}}}}{{{{end}}}}'
        )
        ask = f"{run} get {quote(f'{resource}.{version}.{group}')} -A -o go-template={quote(template)}"
        asked.append(f"{ask} | sed '/ kube-[^ ]*$/d' | sort -u | sed {SHOWN}q")
    return "\n".join(asked)
