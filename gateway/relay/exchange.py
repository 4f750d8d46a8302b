"""How a request and its answer cross to a target: as they are, or from one dialect into another.

Where the target speaks the client's dialect nothing is parsed and written again. Else a translation
of `wire` stands in between: the target's bytes are judged in the target's dialect, and what the
client gets is written in its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote

import msgspec

from gateway.config import Dialect, Provider
from gateway.config_spoken import spoken
from gateway.relay.answering import JSON_TYPE, Headers
from gateway.relay.inbound import MODEL_CHARS, Inbound
from gateway.routing.steps import Send
from gateway.wire import code_assist
from gateway.wire.adapting import Foreign, adapt
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import ClientError, Fault, Judge, Wire
from gateway.wire.body import drop_fields
from gateway.wire.gemini import GeminiWire
from gateway.wire.headers import to_client
from gateway.wire.openai import OpenAIWire
from gateway.wire.responses import ResponsesWire
from gateway.wire.translate.base import StreamTranslation, TranslatedRequest, Translation
from gateway.wire.translate.counting import Counting, counting
from gateway.wire.translate.embedding import Embedding, embedding
from gateway.wire.translate.errors import read_error, write_error
from gateway.wire.translate.registry import translation
from gateway.wire.whole_frames import WholeFrames

WIRES: Final[Mapping[str, Wire]] = {
    wire.name: wire for wire in (OpenAIWire(), ResponsesWire(), AnthropicWire(), GeminiWire())
}
"""By the dialect a target is asked in."""
GENERATES: Final = ("/chat/completions", "/responses", "/v1/messages")
GENERATES_AT_GOOGLE: Final = (":generateContent", ":streamGenerateContent")
"""Endpoints that make an answer; the others are counts and embeddings."""
COUNTS: Final = ("/v1/messages/count_tokens", ":countTokens")
EMBEDS: Final = ("/embeddings", ":embedContent", ":batchEmbedContents")
EVENTS_TYPE: Final = ("content-type", "text/event-stream; charset=utf-8")
_OF_A_DIALECT: Final = ("openai-", "anthropic-", "x-goog-", "x-gemini-", "x-stainless-")
"""Headers that mean something only beside the body they came with."""
_OF_A_BODY: Final = frozenset({"content-type", "etag", "content-disposition", "content-language"})


class Flow(Protocol):
    """A stream on its way to the client."""

    @property
    def within(self) -> bool:
        """A frame has begun and not ended: nothing may be put in between."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """What goes on to the client now."""
        ...

    def rest(self) -> bytes:
        """What is left of a stream that ended as it should."""
        ...


class TranslatedFlow:
    """Implements `Flow`; `judge` watches what the client is sent, in the client's dialect."""

    __slots__ = ("_stream", "judge")
    within = False
    """Frames are written whole."""

    def __init__(self, stream: StreamTranslation, judge: Judge) -> None:
        self._stream = stream
        self.judge = judge

    def feed(self, chunk: bytes) -> bytes:
        return self._watched(self._stream.feed(chunk))

    def rest(self) -> bytes:
        return self._watched(self._stream.end())

    def _watched(self, written: bytes) -> bytes:
        if written:
            self.judge.feed(written)
        return written


class Exchange(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One attempt's request as it is sent, and the way of its answer."""

    wire: Wire
    """The target's: it judges what the target answers."""
    client: Wire
    path: str
    query: str
    headers: Headers
    body: bytes
    dropped: tuple[str, ...] = ()
    """Fields of the client's body that the target is not sent."""
    translation: Translation | None = None

    @property
    def translated(self) -> str:
        """From which dialect to which; empty where nothing is translated."""
        return "" if self.translation is None else f"{self.client.name}->{self.wire.name}"

    def flow(self) -> Flow:
        if self.translation is None:
            return WholeFrames()
        return TranslatedFlow(self.translation.stream(), self.client.judge(stream=True))

    def answer(self, body: bytes) -> bytes:
        """A whole good answer for the client. Raises `ValueError` if it cannot be read."""
        return body if self.translation is None else self.translation.answer(body)

    def refusal(self, status: int, body: bytes) -> bytes:
        """A provider's error for the client."""
        return body if self.translation is None else self.translation.error(status, body)

    def headers_to_client(self, pairs: Headers, *, stream: bool) -> Headers:
        kept = to_client(pairs)
        if self.translation is None:
            return kept
        return [
            EVENTS_TYPE if stream else JSON_TYPE,
            *(each for each in kept if _outlives_translation(each[0].lower())),
        ]


class Exchanges:
    """Those of one request. What was made for a target is kept, for attempts with other keys."""

    __slots__ = ("_adapted", "_made", "created", "inbound")

    def __init__(self, inbound: Inbound, *, created: int) -> None:
        self.inbound = inbound
        self.created = created
        """Unix time, seconds: what a translated answer says when it was made."""
        self._made: dict[tuple[str, str], _Translated | ClientError] = {}
        self._adapted: dict[tuple[str, str], bytes] = {}

    def cannot(self, provider: Provider, model: str) -> str:
        """Why the request cannot be put into the provider's dialect; empty where it can."""
        if self.inbound.asked_as_is(provider):
            return _not_offered(provider, self.inbound.path)
        made = self._translated(provider, model)
        return made.message if isinstance(made, ClientError) else ""

    def of(self, send: Send) -> Exchange:
        """For an attempt on a target about which `cannot` had nothing to say."""
        inbound = self.inbound
        if inbound.asked_as_is(send.provider):
            body, dropped = inbound.body_for(send.model, send.drop, adapted=send.adapt)
            return Exchange(
                wire=inbound.wire,
                client=inbound.wire,
                path=inbound.path_for(send.model) if "{" in inbound.path else inbound.path,
                query=inbound.query,
                headers=inbound.upstream_headers,
                body=body,
                dropped=dropped,
            )
        made = self._translated(send.provider, send.model)
        assert not isinstance(made, ClientError)
        body, dropped = self._body(send, made)
        return Exchange(
            wire=WIRES[made.translation.target],
            client=inbound.wire,
            path=quote(made.request.path, safe=MODEL_CHARS),
            query=made.request.query,
            headers=_own_headers(made.request, stream=inbound.facts.stream),
            body=body,
            dropped=(*made.request.lost, *dropped),
            translation=made.translation,
        )

    def adapt(self, send: Send, foreign: Foreign) -> tuple[str, ...]:
        """Makes the body without what the provider has refused; what that was, or nothing."""
        if self.inbound.asked_as_is(send.provider):
            return self.inbound.adapt(send.model, send.drop, foreign)
        made = self._translated(send.provider, send.model)
        if isinstance(made, ClientError):
            return ()
        key = (send.provider.name, send.model)
        body, done = adapt(self._adapted.get(key, made.request.body), foreign)
        if done:
            self._adapted[key] = body
        return done

    def _body(self, send: Send, made: _Translated) -> tuple[bytes, tuple[str, ...]]:
        body = made.request.body
        if send.adapt:
            body = self._adapted.get((send.provider.name, send.model), body)
        return drop_fields(body, send.drop) if send.drop else (body, ())

    def _translated(self, provider: Provider, model: str) -> _Translated | ClientError:
        key = (provider.name, model)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._translate(provider, model)
        return made

    def _translate(self, provider: Provider, model: str) -> _Translated | ClientError:
        inbound = self.inbound
        client, target = inbound.wire.name, spoken(provider, inbound.wire.name)
        between = self._between(client, target, origin=provider.name)
        if between is None:
            said = f"{inbound.facts.endpoint} is not translated for providers of {target!r}."
            return ClientError(400, "untranslatable", said)
        try:
            request = between.request(inbound.body, model=model, stream=inbound.facts.stream)
        except ClientError as error:
            return error
        return _Translated(between, request)

    def _between(self, client: str, target: str, *, origin: str) -> Translation | None:
        path = self.inbound.path
        if _generates(path):
            return translation(client, target, origin=origin, created=self.created)
        other = counting if path.endswith(COUNTS) else embedding if path.endswith(EMBEDS) else None
        found = other(client, target) if other is not None else None
        return None if found is None else _OneCall(client, target, found)


@dataclass(slots=True)
class _OneCall:
    """Implements `Translation` for what is asked and answered whole: counts and embeddings."""

    client: str
    target: str
    of: Counting | Embedding

    def request(self, body: bytes, *, model: str, stream: bool) -> TranslatedRequest:
        if stream:
            raise ClientError(400, "untranslatable", "Counts and embeddings are not streamed.")
        return self.of.request(body, model=model)

    def answer(self, body: bytes) -> bytes:
        return self.of.answer(body)

    def stream(self) -> StreamTranslation:
        message = "`request` refuses what is to be streamed"
        raise AssertionError(message)

    def error(self, status: int, body: bytes) -> bytes:
        return write_error(self.client, read_error(status, body))


@dataclass(frozen=True, slots=True)
class _Translated:
    translation: Translation
    request: TranslatedRequest


def unreadable() -> Fault:
    """Of an answer that was judged good and still cannot be translated."""
    return Fault(reason="untranslatable_answer")


def _generates(path: str) -> bool:
    return path in GENERATES or path.endswith(GENERATES_AT_GOOGLE)


def _not_offered(provider: Provider, path: str) -> str:
    """Of Gemini's methods Code Assist has those that make an answer, and counting."""
    if provider.dialect is not Dialect.CODE_ASSIST or code_assist.method_of(path):
        return ""
    return f"Code Assist has no {path.rpartition(':')[2]}."


def _own_headers(request: TranslatedRequest, *, stream: bool) -> Headers:
    """The request is the gateway's own writing, so that the client's headers are not about it."""
    accept = "text/event-stream" if stream else "application/json"
    return [JSON_TYPE, ("accept", accept), ("user-agent", "evenkeel"), *request.headers]


def _outlives_translation(name: str) -> bool:
    return name not in _OF_A_BODY and not name.startswith(_OF_A_DIALECT)
