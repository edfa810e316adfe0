"""What is asked of a Docker that is about to go, as sh; each answer that came to its end has the last line `asked`."""

from collections.abc import Mapping, Sequence

from quorate.render import carried
from quorate.render.sh import quote
from quorate.spec.layout import BIN

WAIT_S = 5
"""Seconds for a registry to answer."""
_NONE = f"[ -x {BIN}/docker ] || {{ echo asked; exit 0; }}"


def not_of_pods() -> str:
    """sh that prints `container NAME` and `volume NAME` of what is not Kubernetes'. Volumes without a name of their own
    belong to a container.
    """
    return f"""{_NONE}
names=$({BIN}/docker ps -a --format '{{{{.Names}}}}') && volumes=$({BIN}/docker volume ls -q) || exit 0
echo "$names" | sed -n '/^k8s_/!s/^./container &/p'
echo "$volumes" | grep -vE '^[0-9a-f]{{64}}$' | sed -n 's/^./volume &/p'
echo asked"""


def registries(urls: Mapping[str, Sequence[str]], proxy: str = "", without: str = "*") -> str:
    """sh that prints `digest NAME` of images of pods that can't be carried over, and of the registries of all images
    `answers NAME` or `silent NAME`. `urls` are those of registries that are asked elsewhere than at their names;
    `without` names who is asked without the proxy.
    """
    known = "".join(f"  {quote(name)}) echo {' '.join(map(quote, each))};;\n" for name, each in urls.items())
    way = f"--proxy {quote(proxy)} " if proxy else ""
    way += f"-o /dev/null --connect-timeout {WAIT_S} --max-time {WAIT_S}"
    return f"""{_NONE}
{carried.NAMES}urls() {{ case $1 in
{known}  *) echo "https://$1 http://$1";; esac; }}
answers() {{ for url in $(urls "$1"); do
  curl -sk --noproxy {quote(without)} {way} "$url/v2/" && return 0
done; return 1; }}
names=$(in_docker) && bare=$(by_digest) || exit 0
for name in $bare; do echo "digest $name"; done
for name in $names $bare; do full "$name" | cut -d / -f 1; done | sort -u | while read -r server; do
  if answers "$server"; then echo "answers $server"; else echo "silent $server"; fi
done
echo asked"""
