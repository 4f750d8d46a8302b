"""What only this client does; all that both do is in test_direct.py."""

from __future__ import annotations

import ssl
from dataclasses import replace

import msgspec
import pytest

from gateway.config import HttpClient
from gateway.events import Failure
from gateway.upstream.base import Outgoing, Reply
from gateway.upstream.http1.pool import Pool
from gateway.upstream.http1.upstream import Http1Upstream, connect_failure
from tests.gateway.upstream.sending import outgoing


class Elsewhere:
    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    async def send(self, outgoing: Outgoing) -> Reply:
        self.sent.append(outgoing)
        raise NotImplementedError


async def test_an_address_with_a_user_in_it_is_left_to_the_other_client() -> None:
    pool, elsewhere = Pool(), Elsewhere()
    with pytest.raises(NotImplementedError):
        await Http1Upstream(pool, elsewhere).send(outgoing("http://user:secret@127.0.0.1:1/v1"))
    assert len(elsewhere.sent) == 1
    await pool.close()


async def test_the_other_client_can_be_asked_for() -> None:
    pool, elsewhere = Pool(), Elsewhere()
    sent = outgoing("http://127.0.0.1:1/v1")
    asked = msgspec.structs.replace(
        sent, provider=replace(sent.provider, http_client=HttpClient.AIOHTTP)
    )
    with pytest.raises(NotImplementedError):
        await Http1Upstream(pool, elsewhere).send(asked)
    await pool.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(111, "refused"), "refused"),
        (OSError(113, "no route"), "unreachable"),
        (ssl.SSLError("bad"), "tls"),
        (TimeoutError(), "connect_timeout"),
        (ValueError("no address"), "bad_url"),
    ],
)
def test_without_a_connection_nothing_was_done(error: Exception, reason: str) -> None:
    failure = connect_failure(error)
    assert (failure.failure, failure.reason, failure.processed) == (Failure.CONNECT, reason, False)
