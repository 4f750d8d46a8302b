"""The command line's way to a running gateway.

aiohttp is imported by the functions that need it: `evenkeel --help` must not wait for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from gateway.units import Clock, Secret
from gateway.wire.sse import SseFrames

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

Item = dict[str, Any]
Params = Mapping[str, str | int]

CONNECT_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 15.0
"""A query is stopped by the gateway after five."""
RECONNECT_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
"""Waits between the attempts to get a lost tail back; the last one for ever."""
HTTP_NO_KEY: Final = 401
HTTP_SERVER_ERROR: Final = 500
"""From here on it may pass: a gateway that starts or stops answers 503."""


class Unreachable(Exception):
    """No gateway answers there."""


class Refused(Exception):
    """It answered, and not with what was asked for; `str()` says why."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Where one listens, and the admin key for it (empty if none is known)."""

    url: str
    key: Secret

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key.reveal()}"} if self.key else {}


async def ask(gateway: Gateway, path: str, params: Params | None = None) -> Any:  # noqa: ANN401
    """The JSON that a GET gives. Raises `Unreachable` and `Refused`."""
    import aiohttp

    limits = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, headers=gateway.headers) as session,
            _get(session, gateway, path, params) as answer,
        ):
            await _check(gateway, answer)
            try:
                return await answer.json()
            except (ValueError, aiohttp.ContentTypeError):
                message = f"what answers at {gateway.url} is no Evenkeel gateway"
                raise Refused(message, status=answer.status) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(_no_gateway(gateway, error)) from error


async def tell(gateway: Gateway, path: str, body: Item, *, actor: str) -> Any:  # noqa: ANN401
    """The JSON that a POST gives: an act of the operator's. Raises `Unreachable` and `Refused`."""
    import aiohttp
    from yarl import URL

    limits = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
    headers = {**gateway.headers, "x-evenkeel-actor": actor}
    url = URL(gateway.url + path, encoded=True)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, headers=headers) as session,
            session.post(url, json=body, allow_redirects=False) as answer,
        ):
            await _check(gateway, answer)
            return await answer.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(_no_gateway(gateway, error)) from error


async def request(gateway: Gateway, request_id: str) -> Item:
    """One request with its candidates."""
    found: Item = await ask(gateway, f"/api/v1/requests/{quote(request_id, safe='')}")
    return found


async def lines(gateway: Gateway, path: str, params: Params) -> AsyncGenerator[bytes]:
    """The lines of an export, as they come. Raises `Unreachable`, also where it breaks off, and
    `Refused`."""
    import aiohttp

    limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=60.0)
    headers = {**gateway.headers, "Accept": "application/x-ndjson"}
    rest = b""
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, headers=headers) as session,
            _get(session, gateway, path, params) as answer,
        ):
            await _check(gateway, answer)
            async for chunk in answer.content.iter_any():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(_no_gateway(gateway, error)) from error
    if rest:
        message = f"{gateway.url} broke off in the middle of a row"
        raise Unreachable(message)


async def tail(
    gateway: Gateway, params: Params, *, last_id: int | None, clock: Clock
) -> AsyncGenerator[Item | Unreachable, None]:
    """What happens from `last_id` on, for ever; a broken connection is taken up where it broke.

    Each break is handed out once as an `Unreachable`. Raises it only if there never was a
    connection, and `Refused`.
    """
    lost = 0
    connected = False
    while True:
        try:
            async with aclosing(_stream(gateway, params, last_id=last_id)) as items:
                async for item in items:
                    connected = True
                    lost = 0
                    if item is not None:
                        last_id = item.get("id", last_id)
                        yield item
            problem = Unreachable(f"{gateway.url} closed the connection")
        except (Unreachable, Refused) as error:
            lasting = isinstance(error, Refused) and error.status < HTTP_SERVER_ERROR
            if lasting or not connected:
                raise
            problem = Unreachable(str(error))
        if lost == 0:
            yield problem
        await clock.sleep(RECONNECT_SECONDS[min(lost, len(RECONNECT_SECONDS) - 1)])
        lost += 1


async def _stream(
    gateway: Gateway, params: Params, *, last_id: int | None
) -> AsyncGenerator[Item | None, None]:
    """One connection's items; None once, when it stands."""
    import aiohttp

    limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    headers = {**gateway.headers, "Accept": "text/event-stream"}
    if last_id is not None:
        headers["Last-Event-ID"] = str(last_id)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, headers=headers) as session,
            _get(session, gateway, "/api/v1/events", params) as answer,
        ):
            await _check(gateway, answer)
            yield None
            frames = SseFrames()
            async for chunk in answer.content.iter_any():
                for name, data in frames.feed(chunk):
                    # Named frames are about the stream, not of the history.
                    if data and not name:
                        yield json.loads(data)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(_no_gateway(gateway, error)) from error


def _get(session: ClientSession, gateway: Gateway, path: str, params: Params | None) -> Any:  # noqa: ANN401
    from yarl import URL

    url = URL(gateway.url + path, encoded=True)
    return session.get(url, params=dict(params or {}), allow_redirects=False)


async def _check(gateway: Gateway, answer: ClientResponse) -> None:
    if answer.status == 200:
        return
    if answer.status == HTTP_NO_KEY:
        message = (
            f"{gateway.url} wants its admin key: set EVENKEEL_ADMIN_KEY, or name the gateway's "
            "configuration with --config"
        )
        raise Refused(message, status=answer.status)
    said = _told(await answer.text()) or f"{gateway.url} answered with status {answer.status}"
    raise Refused(said, status=answer.status)


def _told(body: str) -> str:
    """The sentence in an error body, whatever dialect it is in; empty if there is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    error = found.get("error", found) if isinstance(found, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    problems = error.get("problems") if isinstance(error, dict) else None
    lines = [message, *problems] if isinstance(problems, list) else [message]
    return "\n".join(line for line in lines if isinstance(line, str))


def _no_gateway(gateway: Gateway, error: BaseException) -> str:
    return f"no gateway answers at {gateway.url} ({_why(error)})"


def _why(error: BaseException) -> str:
    """What the system says, without the library's words around it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno:
        told = os.strerror(error.errno) if error.errno > 0 else error.strerror
        return str(told).lower()
    return str(error) or type(error).__name__
