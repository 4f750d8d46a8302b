from __future__ import annotations

import json

import pytest

from gateway.api.endpoints import ENDPOINTS
from gateway.api.hot import HotRoutes
from gateway.relay.answering import Headers
from tests.gateway.api.serving import api


class Broken:
    """Implements `Incoming` and `Answer`: its body fails as nothing should."""

    def __init__(self) -> None:
        self.headers: Headers = []
        self.said: list[tuple[int, Headers, bytes]] = []

    async def body(self) -> bytes:
        raise ZeroDivisionError

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self.said.append((status, headers, body))

    async def begin(self, status: int, headers: Headers) -> None: ...

    async def write(self, chunk: bytes) -> None: ...

    def put(self, chunk: bytes) -> bool:
        return False

    async def keep_alive(self, frame: bytes) -> None: ...

    async def end(self) -> None: ...


@pytest.mark.parametrize(
    ("target", "path"),
    [
        *((each.path, each.path) for each in ENDPOINTS),
        ("/v1/messages?beta=true", "/v1/messages"),
        ("/v1beta/models/a/b:c:generateContent", "/v1beta/models/{model}:generateContent"),
        ("/v1/models/m:countTokens?key=k&key=j", "/v1beta/models/{model}:countTokens"),
    ],
)
async def test_inference_is_answered_by_our_own_server(target: str, path: str) -> None:
    async with api() as a:
        found = HotRoutes(a.context)(target)
        assert found is not None
        assert found.inference.endpoint.path == path
        assert found.inference.query == target.partition("?")[2]
        assert found.inference.query_key == ("k" if "key" in target else "")


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/v1/models", "/v1/messages/", "/v1/messages/x", "/V1/messages"),
        *("/v1/models/m:predict", "/v1beta/models/m", "/v1beta//m:generateContent"),
        "/v1beta/models/../m:generateContent",
    ],
)
async def test_everything_else_is_aiohttp_s(target: str) -> None:
    async with api() as a:
        assert HotRoutes(a.context)(target) is None


async def test_a_failure_of_our_own_is_told_in_the_client_s_dialect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with api() as a:
        found, broken = HotRoutes(a.context)("/v1/messages"), Broken()
        assert found is not None
        await found.answer(broken, broken)
        [(status, headers, body)] = broken.said
        assert (status, headers) == (500, [("content-type", "application/json")])
        assert json.loads(body)["type"] == "error"
        assert a.context.internal_errors == 1
        assert "ZeroDivisionError" in caplog.text
