"""What the drill itself asks the API beside the probe: leases, nodes, pods. One connection, one request at a time."""

import asyncio
from typing import Any

from quorate.drill.answer import Broken, Reply, reason
from quorate.drill.client import Client, Dialer
from quorate.drill.probe_config import Target

ANSWER_WITHIN_S = 1.0
"""Seconds for an answer to a question that is asked again at once."""
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
NODES = "/api/v1/nodes"


class Api:
    """Asks the endpoint as the administrator."""

    def __init__(self, target: Target) -> None:
        self._client = Client(Dialer(target))
        self._one = asyncio.Lock()

    async def ask(self, method: str, path: str, body: object = None, limit: float = ANSWER_WITHIN_S) -> Reply:
        """The answer. Raises OSError or Broken."""
        async with self._one, asyncio.timeout(limit):
            return await self._client.ask(method, path, body)

    async def items(self, path: str) -> list[dict[str, Any]]:
        """A list. Raises OSError or Broken."""
        return (await self.ask("GET", path)).items()

    async def unready(self) -> str:
        """Which nodes are not Ready, or why that can't be known; empty when all are."""
        try:
            nodes = await self.items(NODES)
        except (OSError, Broken) as error:
            return f"the API does not tell its nodes: {reason(error)}"
        names = [node["metadata"]["name"] for node in nodes if not _ready(node)]
        return f"not Ready: {', '.join(names)}" if names else ""

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
