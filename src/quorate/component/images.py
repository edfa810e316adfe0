"""Container images that workers have without asking a registry."""

from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.turns import Enough, Turns
from quorate.resource.kube import Image
from quorate.resource.resource import Resource
from quorate.spec.cluster import Host, Role

NAME = "images"
AFTER: tuple[str, ...] = ("runtime",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.TOGETHER


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Every image archive of the supply, on every worker; one that holds several images is sent once."""
    if not host.has(Role.WORKER):
        return
    archives: dict[str, list[str]] = {}
    for reference, blob in context.supply.images.items():
        archives.setdefault(blob.sha256, []).append(reference)
    for references in archives.values():
        yield Image(
            host=host.name,
            references=tuple(references),
            runtime=context.cluster.runtime.kind,
            blob=context.supply.images[references[0]],
        )
