"""Providers that only litellm speaks to (Bedrock, Vertex, Azure, Cohere, …), asked in the chat dialect.

litellm is loaded by the first request that needs it, in a thread, and does here what it is for:
writing a request in a vendor's form and reading the answer. Retries, callbacks, caches and logs are
switched off. What the vendor truly answered (status, headers) is caught on the way by a session of
ours, since litellm's exceptions change statuses and lose headers.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.config import Config, Dialect, Provider
from gateway.events import Failure
from gateway.units import Secret
from gateway.upstream.base import Outgoing, Reply, Upstream, UpstreamFailure, found
from gateway.upstream.direct import failure_of
from gateway.upstream.translated_words import (
    CHAT_FIELDS,
    EMBEDDING_FIELDS,
    error_of,
    foreign_causes,
)

ENVIRONMENT: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_OFFLINE_MODE": "true",
    "LITELLM_MODE": "PRODUCTION",  # Else it reads keys from a stray `.env`.
    "REPEATED_STREAMING_CHUNK_LIMIT": "1000000000",  # Else it ends answers that repeat themselves.
    "ANTHROPIC_MESSAGES_MAX_DETACHED_STREAM_DRAINS": "0",
}
"""Set before the import: no network at import, no telemetry, no surprises."""
LOGGERS: Final = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
NEVER_SECONDS: Final = 86_400.0
"""litellm's own clock; the gateway's are the ones that count."""
OWN_HANDLER: Final = frozenset({"gemini", "vertex_ai", "anthropic", "bedrock"})
"""By a model's prefix: those that take our session only inside litellm's own HTTP handler."""
MASK: Final = "***"
CLOSE_SECONDS: Final = 2.0

Json = dict[str, Any]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    """What truly came from the vendor in one call."""

    connected: bool = False
    status: int | None = None
    headers: CIMultiDictProxy[str] = field(default_factory=lambda: CIMultiDictProxy(CIMultiDict()))


_SEEN: ContextVar[_Seen | None] = ContextVar("seen", default=None)


class LiteLLMUpstream:
    """Implements `Upstream`. Opens its session with the first call; `close` ends it."""

    def __init__(self) -> None:
        self._litellm: Any = None
        self._session: aiohttp.ClientSession | None = None
        self._handler: Any = None
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Imports litellm, which takes seconds, unless that is done."""
        async with self._loading:
            if self._litellm is None:
                litellm = await asyncio.to_thread(_imported)
                self._session = _session()
                handlers = importlib.import_module("litellm.llms.custom_httpx.http_handler")
                self._handler = handlers.AsyncHTTPHandler(shared_session=self._session)
                self._litellm = litellm

    async def warm(self) -> None:
        """Loads ahead of need; a failure to is told by the request that needs it."""
        try:
            await self.load()
        except ImportError:
            log.exception("litellm cannot be loaded")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, outgoing: Outgoing) -> Reply:
        embeds = outgoing.path == "/embeddings"
        if not embeds and outgoing.path != "/chat/completions":
            raise UpstreamFailure(Failure.UNSUPPORTED, "unsupported_endpoint", processed=False)
        try:
            await self.load()
        except ImportError:
            raise UpstreamFailure(Failure.UNSUPPORTED, "litellm_missing", processed=False) from None
        asked = self._arguments(outgoing, EMBEDDING_FIELDS if embeds else CHAT_FIELDS)
        if outgoing.stream:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        call = self._litellm.aembedding if embeds else self._litellm.acompletion
        seen = _Seen()
        mark = _SEEN.set(seen)
        clocks = outgoing.timeouts
        try:
            async with asyncio.timeout(clocks.connect_seconds + clocks.headers_seconds):
                answer = await call(**asked)
        except TimeoutError as error:
            raise _timed_out(seen) from error
        except Exception as error:  # noqa: BLE001  # litellm's own raise anything at all.
            return _refused(error, seen, outgoing)
        finally:
            _SEEN.reset(mark)
        if outgoing.stream:
            return LiteLLMStream(answer, seen, outgoing)
        return _Whole(200, seen.headers, answer.model_dump_json(exclude_none=True).encode())

    def _arguments(self, outgoing: Outgoing, allowed: frozenset[str]) -> Json:
        """Only fields of the dialect cross: litellm takes its orders (addresses, keys) as fields, too."""
        try:
            body = json.loads(outgoing.body)
        except ValueError:
            raise UpstreamFailure(Failure.BAD_REQUEST, "not_json", processed=False) from None
        provider, key = outgoing.provider, outgoing.credential.key.reveal()
        asked = {name: value for name, value in body.items() if name in allowed}
        asked |= {
            "model": outgoing.model,
            "max_retries": 0,
            "num_retries": 0,
            "timeout": NEVER_SECONDS,
            "drop_params": provider.litellm.drop_params,
            "no-log": True,
        }
        if key:
            asked["api_key"] = key
        if provider.base_url:
            asked["api_base"] = provider.base_url
        asked |= _settings(provider)
        if outgoing.model.partition("/")[0] in OWN_HANDLER:
            asked["client"] = self._handler
        else:
            asked["shared_session"] = self._session
        return asked


def wanted(config: Config) -> bool:
    """Loading takes seconds, which the first request would else wait for."""
    return any(each.dialect is Dialect.LITELLM for each in config.providers.values())


class _Whole(Reply):
    """One body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = found(headers.items())
        self._headers = headers
        self._body: bytes | None = body

    def pairs(self) -> list[tuple[str, str]]:
        return _pairs(self._headers, "application/json")

    async def chunk(self) -> bytes | None:
        body, self._body = self._body, None
        return body

    async def close(self) -> None:
        pass


class LiteLLMStream(Reply):
    """litellm's chunks as events of the chat dialect."""

    status = 200

    def __init__(self, answer: Any, seen: _Seen, outgoing: Outgoing) -> None:  # noqa: ANN401
        self.headers = found(seen.headers.items())
        self._headers = seen.headers
        self._answer = answer
        self._outgoing = outgoing
        self._parts = self._made()

    def pairs(self) -> list[tuple[str, str]]:
        return _pairs(self._headers, "text/event-stream; charset=utf-8")

    async def chunk(self) -> bytes | None:
        return await anext(self._parts, None)

    async def _made(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer:
                yield b"data: " + chunk.model_dump_json(exclude_none=True).encode() + b"\n\n"
        except Exception as error:  # noqa: BLE001  # As above.
            told = error_of(error)
            if told is None:
                raise UpstreamFailure(
                    Failure.RESET_BEFORE_CONTENT, "truncated", processed=True
                ) from None
            yield b"data: " + _masked(json.dumps(told), self._outgoing).encode() + b"\n\n"
            return
        yield b"data: [DONE]\n\n"

    async def close(self) -> None:
        """Leaving the loop would not end the call: it has to be told."""
        closing = getattr(self._answer, "aclose", None)
        if closing is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await closing()
        except Exception as error:  # noqa: BLE001  # It is over either way.
            log.debug("closing a stream failed: %s", type(error).__name__)


def _imported() -> Any:  # noqa: ANN401
    for name, value in ENVIRONMENT.items():
        os.environ[name] = value
    for each in LOGGERS:
        logging.getLogger(each).setLevel(logging.CRITICAL + 1)
    import litellm

    litellm.suppress_debug_info = True
    litellm.disable_token_counter = True
    litellm.turn_off_message_logging = True
    litellm.user_url_validation = True
    litellm.telemetry = False
    return litellm


def _session() -> aiohttp.ClientSession:
    async def on_connected(session: object, context: SimpleNamespace, params: object) -> None:
        if (seen := _SEEN.get()) is not None:
            seen.connected = True

    async def on_answered(
        session: object, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        if (seen := _SEEN.get()) is not None:
            seen.status, seen.headers = params.response.status, params.response.headers

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(on_connected)
    trace.on_connection_reuseconn.append(on_connected)
    trace.on_request_end.append(on_answered)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=[trace],
    )


def _settings(provider: Provider) -> Json:
    """What the configuration says under `litellm`, by litellm's own names."""
    said: Json = {}
    for each in fields(provider.litellm):
        value = getattr(provider.litellm, each.name)
        value = value.reveal() if isinstance(value, Secret) else value
        if each.name != "drop_params" and value:
            said[each.name] = value
    return said


def _refused(error: Exception, seen: _Seen, outgoing: Outgoing) -> Reply:
    """The vendor's refusal as it was. Raises `UpstreamFailure` where there was none."""
    headers = seen.headers or getattr(error, "litellm_response_headers", None) or {}
    status = seen.status if seen.status is not None else _stated(error)
    if status is not None and 200 <= status <= 299:
        raise UpstreamFailure(Failure.BAD_SUCCESS, "not_its_dialect", processed=True) from None
    if status is None:
        raise _unanswered(error, seen) from None
    told = error_of(error) or {"error": {"message": getattr(error, "message", "") or "No."}}
    return _Whole(status, headers, _masked(json.dumps(told), outgoing).encode())


def _stated(error: Exception) -> int | None:
    """The status of an answer that our session did not carry, or of litellm's own refusal."""
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        return None
    if getattr(error, "litellm_response_headers", None) is not None:
        return status
    return status if status in (400, 404, 422) else None


def _unanswered(error: Exception, seen: _Seen) -> UpstreamFailure:
    for cause in foreign_causes(error):
        if isinstance(cause, ImportError):
            return UpstreamFailure(Failure.UNSUPPORTED, "litellm_extra_missing", processed=False)
        if isinstance(cause, aiohttp.ClientError | OSError):
            return failure_of(cause, connected=seen.connected)
    if not seen.connected:
        return UpstreamFailure(Failure.CONNECT, "refused", processed=False)
    return UpstreamFailure(Failure.RESET_BEFORE_CONTENT, "reset", processed=True)


def _timed_out(seen: _Seen) -> UpstreamFailure:
    if seen.connected:
        return UpstreamFailure(Failure.FIRST_CONTENT_TIMEOUT, "headers_timeout", processed=True)
    return UpstreamFailure(Failure.CONNECT, "connect_timeout", processed=False)


def _masked(text: str, outgoing: Outgoing) -> str:
    settings = outgoing.provider.litellm
    secrets = [getattr(settings, each.name) for each in fields(settings)]
    for each in (outgoing.credential.key, *secrets):
        if isinstance(each, Secret) and each.reveal():
            text = text.replace(each.reveal(), MASK)
    return text


def _pairs(headers: Mapping[str, str], content_type: str) -> list[tuple[str, str]]:
    kept = [each for each in headers.items() if each[0].lower() != "content-type"]
    return [("content-type", content_type), *kept]


_UPSTREAM: type[Upstream] = LiteLLMUpstream
