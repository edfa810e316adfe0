"""Container images that workers have without asking a registry."""

from collections.abc import Iterator

from quorate.component.context import Context
from quorate.resource.brick import Brick
from quorate.resource.kube import Image
from quorate.spec.cluster import Host, Role

NAME = "images"
AFTER: tuple[str, ...] = ("runtime",)
SERIAL = False


def resources(context: Context, host: Host) -> Iterator[Brick]:
    """Every image of the supply, on every worker."""
    if host.has(Role.WORKER):
        for reference, blob in context.supply.images.items():
            yield Image(host=host.name, reference=reference, runtime=context.cluster.runtime.kind, blob=blob)
