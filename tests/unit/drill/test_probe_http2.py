"""The probe's kept connections: GOAWAY in order costs nothing, every other loss is seen, and nothing is asked twice."""

import asyncio
import socket
from dataclasses import replace

import pytest
from api_in_memory import Api, Pki
from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame
from probing import PACE, Probing, probing

from quorate.core import QuorateError
from quorate.drill.answer import Broken, Unprocessed
from quorate.drill.client import Client, Dialer
from quorate.drill.frames import split
from quorate.drill.probe_config import Pace, ProbeConfig
from quorate.drill.recorder import Recorder
from quorate.drill.session import session

BODY = {"metadata": {"name": "p-0"}, "data": {"seq": "1", "n1": ""}}
FOLDER = "/api/v1/namespaces/x/configmaps"


def clean(found: Probing) -> bool:
    """Whether nothing has failed."""
    result = found.result
    return not any(stream.failed for stream in (result.new, result.kept, result.writes, result.watch))


async def test_connections_that_end_in_order_cost_no_request(api: Api) -> None:
    async with probing(api) as found:
        for _ in range(5):
            before = len(api.http2)
            for each in api.http2:
                each.go_away()
            await found.until(lambda: len(api.http2) >= before + 2)  # noqa: B023
            await found.writes(2)
        api.end_watches()
        await found.until(lambda: found.result.reopened > 0)
        await found.writes(2)
    assert clean(found)
    result = found.result
    assert (result.lost, result.undone, result.unseen, result.unknown, result.disorder) == ((), (), (), 0, 0)


async def test_requests_under_way_are_answered_after_goaway(api: Api) -> None:
    client = Client(Dialer(api.target()))
    await client.ask("GET", "/api")
    api.http2[0].asked.clear()
    api.answering.clear()
    asking = asyncio.create_task(client.ask("GET", "/api"))
    await api.http2[0].asked.wait()
    api.http2[0].go_away()
    await asyncio.sleep(0.05)
    assert not asking.done()
    api.answering.set()
    assert (await asking).status == 200
    assert (await client.ask("GET", "/api")).status == 200
    assert [each.requests for each in api.http2] == [2, 1]
    assert not client.lost
    client.close()


async def test_idle_connections_are_closed_at_goaway_and_that_is_no_loss(api: Api) -> None:
    client = Client(Dialer(api.target()))
    await client.ask("GET", "/api")
    connection = client._connection
    assert connection
    assert connection.ready
    assert connection._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    api.http2[0].go_away()
    await api.http2[0].ended.wait()
    assert connection.closed
    assert not client.lost
    await client.ask("GET", "/api")
    assert len(api.http2) == 2
    client.close()


@pytest.mark.parametrize(("fault", "connections"), [("turn_away", 2), ("refuse_streams", 1)])
async def test_what_was_not_processed_is_asked_again_once(api: Api, fault: str, connections: int) -> None:
    client = Client(Dialer(api.target()))
    setattr(api, fault, 1)
    assert (await client.ask("POST", FOLDER, BODY)).status == 201
    assert client.sent
    assert len(api.http2) == connections
    assert [*api.objects] == ["p-0"]
    setattr(api, fault, 2)
    with pytest.raises(Unprocessed):
        await client.ask("GET", "/api")
    # So a write that was turned away is known not to be done.
    assert not client.sent
    assert getattr(api, fault) == 0
    assert (await client.ask("GET", "/api")).status == 200
    client.close()


async def test_a_stream_of_refusals_costs_no_request(api: Api) -> None:
    async with probing(api) as found:
        for fault in ("refuse_streams", "turn_away"):
            for _ in range(5):
                setattr(api, fault, 1)
                await found.until(lambda: getattr(api, fault) == 0)  # noqa: B023
                # The one that met it has ended then, so that none meets two.
                total = found.result.kept.total
                await found.writes(2)
                await found.until(lambda: found.result.kept.total >= total + 2)  # noqa: B023
    assert clean(found)
    assert (found.result.lost, found.result.unseen, found.result.unknown) == ((), (), 0)


async def test_an_unannounced_reset_costs_the_kept_connection_one_request(api: Api) -> None:
    async with probing(api) as found:
        await found.until(lambda: found.result.kept.total > 3)
        api.break_off()
        await found.writes(5)
    assert found.result.kept.failed == 1
    assert {*found.result.kept.words} <= {"closed", "reset"}
    assert found.result.watch.words in ({"reset": 1}, {"cut": 1})
    assert found.result.reopened == 1
    assert (found.result.lost, found.result.unseen) == ((), ())


async def test_a_silent_server_costs_the_limit_each_time(api: Api) -> None:
    async with probing(api, Pace(0.02, 0.02, 0.02, 0.02, timeout=0.1, patience=2)) as found:
        api.answering.clear()
        await found.until(lambda: found.result.kept.failed >= 2 and found.result.writes.failed >= 2)
        api.answering.set()
        await found.writes(3)
    slow = [each.seconds for each in found.result.kept.tries if not each.ok]
    assert {*found.result.kept.words} == {"timeout"}
    assert all(0.1 <= each < 0.5 for each in slow)
    # A try that was given up leaves a connection behind that the next one does not use.
    assert (found.result.lost, found.result.undone, found.result.disorder) == ((), (), 0)


async def test_a_watch_goes_on_for_thousands_of_events(api: Api) -> None:
    """Megabytes on one stream: many times what may be under way without a word from the reader."""
    client = Client(Dialer(api.target()))
    count, padding = 3000, "x" * 1000
    for number in range(1, count + 1):
        api.answer("POST", FOLDER, {"metadata": {"name": f"p-{number}"}, "data": {"seq": str(number), padding: ""}})
    async with asyncio.timeout(20):
        connection = await client.begin("GET", f"{FOLDER}?watch=1&resourceVersion=100&x")
        text = b""
        while text.count(b"\n") < count:
            text += await connection.read()
        api.end_watches()
        assert await connection.read() == b""
    assert len(text) > 10 * 65535 * 4
    client.close()


async def test_pings_are_answered(api: Api) -> None:
    client = Client(Dialer(api.target()))
    await client.ask("GET", "/api")
    api.http2[0].ping()
    async with asyncio.timeout(5):
        await api.http2[0].ponged.wait()
    client.close()


async def test_a_server_without_http2_is_named_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.context.set_alpn_protocols(["http/1.1"])
    async with Api(pki) as api:
        with pytest.raises(QuorateError, match="could not be made: no-http2"):
            await session(ProbeConfig(api.target(), replace(PACE, patience=30)), Recorder().take, asyncio.Event())


async def test_what_is_no_http2_is_a_failure_in_a_word(pki: Pki) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 10)
        await writer.drain()

    async with Api(pki) as api:
        server = await asyncio.start_server(babble, "127.0.0.1", 0, ssl=pki.context)
        target = replace(api.target(), port=server.sockets[0].getsockname()[1])
        client = Client(Dialer(target))
        async with asyncio.timeout(5):
            with pytest.raises(Broken, match="protocol"):
                await client.ask("GET", "/api")
        server.close()


# Frames


def test_frames_are_split_however_they_arrive_and_goaway_is_a_number() -> None:
    ping, data = PingFrame(0, opaque_data=b"12345678").serialize(), DataFrame(1, data=b"x" * 16384).serialize()
    away = [GoAwayFrame(0, last_stream_id=each, additional_data=b"why").serialize() for each in (2**31 - 1, 5)]
    whole = ping + away[0] + data + ping + away[1] + away[1] + data
    wanted = [ping, 2**31 - 1, data + ping, 5, 5, data]
    assert split(whole) == (wanted, b"")
    for size in (1, 8, 1000, 20000):
        rest, found = b"", []
        for at in range(0, len(whole), size):
            parts, rest = split(rest + whole[at : at + size])
            found += parts
        assert rest == b""
        assert [each for each in found if isinstance(each, int)] == [2**31 - 1, 5, 5]
        assert b"".join(each for each in found if isinstance(each, bytes)) == ping + data + ping + data


def test_a_frame_that_is_too_large_is_not_waited_for() -> None:
    begun = DataFrame(1, data=b"x" * 16385).serialize()[:100]
    with pytest.raises(Broken, match="protocol"):
        split(begun)
