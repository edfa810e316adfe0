"""Settings of every API client that runs on a worker."""

from quorate.render.sh import PATH
from quorate.spec.cluster import Cluster
from quorate.spec.layout import BIN
from quorate.spec.timing import timing

SERVICE_PATH = f"{BIN}:{PATH}"
"""PATH of services that start the runtime's programs."""


def environment(c: Cluster) -> dict[str, str]:
    """What tells client-go when to doubt a silent connection."""
    clocks = timing(c)
    return {
        "HTTP2_READ_IDLE_TIMEOUT_SECONDS": str(clocks.http2_idle_s),
        "HTTP2_PING_TIMEOUT_SECONDS": str(clocks.http2_ping_s),
    }
