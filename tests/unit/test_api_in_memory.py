"""The API in memory itself: what it leaves behind would be found in the middle of another test."""

import asyncio
import gc
import socket
import warnings

import pytest
from api_in_memory import Api, Pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.mark.parametrize("steps", range(6))
async def test_a_refusal_in_the_midst_of_an_accept_leaks_no_connection(pki: Pki, steps: int) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        async with Api(pki) as api:
            await asyncio.sleep(0.01)
            client = socket.create_connection(("127.0.0.1", api.port))
            for _ in range(steps):
                await asyncio.sleep(0)
            api.refuse()
            client.close()
            await asyncio.sleep(0.05)
            gc.collect()
    assert [str(each.message) for each in told] == []
