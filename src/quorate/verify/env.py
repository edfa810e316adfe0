"""What checks share: the cluster, the transport, and things that are looked at once for all of them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from quorate.core import CommandFailed, Transport, TransportError
from quorate.execute.outage import Outages
from quorate.execute.survey import View, survey
from quorate.resource import ask
from quorate.resource.kube import kubectl
from quorate.spec.cluster import Cluster, Host

T = TypeVar("T")

OBJECTS: Mapping[str, str] = {
    "nodes": "/api/v1/nodes",
    "endpoints": "/api/v1/namespaces/default/endpoints/kubernetes",
    "bindings": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1/rolebindings",
}
"""API objects that checks look at, by the name under which `Env.objects` gives them."""

CURL = "curl -gs --noproxy '*' --max-time 5"
SERVICES_STOP_S = 120.0
"""Seconds for services to stop: an API server may take ten, a balancer with many streams longer."""


@dataclass
class Env:
    """One run of `verify`."""

    cluster: Cluster
    via: Transport
    namespace: str
    """Where all test objects are."""
    extra_s: float = 0.0
    """Seconds that a look goes on beyond what should be enough: what comes late is then slow, not broken."""
    outages: Outages = field(init=False)
    """What is stopped right now; see `outage`."""
    _once: dict[Callable[..., Any], asyncio.Future[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outages = Outages(self.via, "quorate-verify", SERVICES_STOP_S)

    async def once(self, make: "Callable[[Env], Coroutine[Any, Any, T]]") -> T:
        """What `make` gives, made by the first who asks; its exception is everybody's."""
        if make not in self._once:
            future = self._once[make] = asyncio.ensure_future(make(self))
            # Who waited for it may be gone when it fails: then nobody else has to hear of it.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return cast(T, await asyncio.shield(self._once[make]))

    def cancel(self) -> None:
        """End what is still being made."""
        for future in self._once.values():
            future.cancel()

    async def run(self, host: Host, script: str, timeout: float = 60.0) -> str:
        """Run a script on a host."""
        return await self.via.run(host.name, script, timeout=timeout)

    async def many(self, hosts: Iterable[Host], script: Callable[[Host], str], timeout: float = 60.0) -> dict[str, str]:
        """Run a script on each of the hosts at once; output by host name."""
        asked = list(hosts)
        outputs = await asyncio.gather(*(self.run(host, script(host), timeout) for host in asked))
        return {host.name: output for host, output in zip(asked, outputs, strict=True)}

    async def answers(self, host: Host, questions: Mapping[str, str], timeout: float = 60.0) -> dict[str, str]:
        """Many questions to one host in one session; an answer is what was printed, empty on failure."""
        scripts = {"script": list(questions.values())}
        output = await self.via.run(host.name, ask.script(scripts), timeout=timeout)
        return dict(zip(questions, ask.answers(scripts, output)["script"], strict=True))

    def kubectl(self, server: str | None = None) -> str:
        """kubectl as the admin at the endpoint, or at another server, to append arguments to."""
        return kubectl(server or self.cluster.node_url)

    async def api_host(self) -> Host:
        """A control-plane host that answers: from it kubectl is run. Raises what the last of them says."""
        return await self.once(_api_host)

    async def admin(self, script: str, timeout: float = 60.0) -> str:
        """Run a script on a control-plane host."""
        return await self.run(await self.api_host(), script, timeout)

    async def views(self) -> dict[str, View]:
        """What every host says of itself. Raises TransportError when one does not answer."""
        return await self.once(_views)

    async def objects(self, name: str) -> Any:
        """One of `OBJECTS`, parsed. Raises CommandFailed when the API does not answer."""
        return (await self.once(_objects))[name]


def own_url(cluster: Cluster, master: Host) -> str:
    """URL of one host's own API server."""
    return f"https://{master.ip}:{cluster.apiserver.port}"


async def fresh(env: Env) -> dict[str, View]:
    """The views as of now. Raises TransportError when a host does not answer."""
    views, lost = await survey(env.cluster, env.via)
    for host, why in lost.items():
        raise TransportError(why, host=host)
    return views


async def until(good: Callable[[T], bool], look: Callable[[], Awaitable[T]], within: float, pause: float = 0.3) -> T:
    """What is seen once it is good, looked at again and again; after so many seconds what is seen then."""
    end = asyncio.get_running_loop().time() + within
    while True:
        seen = await look()
        if good(seen) or asyncio.get_running_loop().time() >= end:
            return seen
        await asyncio.sleep(pause)


async def _views(env: Env) -> dict[str, View]:
    return await fresh(env)


async def _api_host(env: Env) -> Host:
    last = ""
    for host in env.cluster.masters:
        try:
            # Any HTTP answer will do: checks say what is wrong with it.
            get = f"curl -sk --noproxy '*' -o /dev/null --max-time 3 {own_url(env.cluster, host)}/readyz"
            await env.run(host, get, 15)
        except TransportError as error:
            last = str(error)
        except CommandFailed:
            last = f"{host.name}: nobody answers at {own_url(env.cluster, host)}"
        else:
            return host
    raise TransportError(f"no API server can be asked; {last}")


async def _objects(env: Env) -> dict[str, Any]:
    api_host = await env.api_host()
    run = env.kubectl(own_url(env.cluster, api_host))
    answers = await env.answers(api_host, {name: f"{run} get --raw {path}" for name, path in OBJECTS.items()})
    objects: dict[str, Any] = {}
    for name, text in answers.items():
        try:
            objects[name] = json.loads(text)
        except ValueError:
            message = f"the API server gives no {OBJECTS[name]}"
            raise CommandFailed(message, host=api_host.name, code=1, stderr=message) from None
    return objects
