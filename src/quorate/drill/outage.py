"""What a drill has broken right now; a host that can't be broken so has the fault left out."""

from collections.abc import Sequence

from quorate.core import CommandFailed, Transport
from quorate.drill.scene import Skip
from quorate.execute import outage
from quorate.execute.outage import Injection
from quorate.render.drill.packets import CANNOT


class Outages(outage.Outages):
    """Breaks and heals."""

    def __init__(self, via: Transport) -> None:
        super().__init__(via, "quorate-drill")

    async def begin(self, injections: Sequence[Injection], seconds: float) -> float:
        """See `execute.outage`. Raises Skip, too, when a host can't do that."""
        try:
            return await super().begin(injections, seconds)
        except CommandFailed as error:
            if error.code == CANNOT:
                raise Skip(f"{error.host}: {' '.join(error.stderr.split())}") from error
            raise
