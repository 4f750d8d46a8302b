"""From two dialects' names to the translation between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gateway.wire.answer import encoded
from gateway.wire.translate import (
    anthropic_answer,
    anthropic_read,
    anthropic_write,
    gemini_answer,
    gemini_read,
    gemini_write,
    openai_answer,
    openai_read,
    openai_write,
    responses_answer,
    responses_read,
    responses_write,
)
from gateway.wire.translate.anthropic_stream import MessagesReader, MessagesWriter
from gateway.wire.translate.base import StreamTranslation, TranslatedRequest, Translation
from gateway.wire.translate.errors import read_error, write_error
from gateway.wire.translate.gemini_stream import GeminiReader, GeminiWriter
from gateway.wire.translate.neutral import Answer, Call, Context, Conversation, Json
from gateway.wire.translate.openai_stream import ChatReader, ChatWriter
from gateway.wire.translate.prepare import prepare
from gateway.wire.translate.reading import made_id
from gateway.wire.translate.responses_events import ResponsesWriter
from gateway.wire.translate.responses_stream import ResponsesReader
from gateway.wire.translate.streaming import Reader, Stream, Writer


class _Dialect(NamedTuple):
    read: Callable[[bytes], Conversation]
    read_answer: Callable[[bytes, Context], Answer]
    write_answer: Callable[[Answer, Context], Json]
    reader: Callable[[Writer, Context], Reader]
    writer: Callable[[Context], Writer]
    id_prefix: str


_DIALECTS = {
    "openai": _Dialect(
        openai_read.read,
        openai_answer.read,
        openai_answer.write,
        ChatReader,
        ChatWriter,
        "chatcmpl-",
    ),
    "responses": _Dialect(
        responses_read.read,
        responses_answer.read,
        responses_answer.write,
        ResponsesReader,
        ResponsesWriter,
        "resp_",
    ),
    "anthropic": _Dialect(
        anthropic_read.read,
        anthropic_answer.read,
        anthropic_answer.write,
        MessagesReader,
        MessagesWriter,
        "msg_",
    ),
    "gemini": _Dialect(
        gemini_read.read,
        gemini_answer.read,
        gemini_answer.write,
        GeminiReader,
        GeminiWriter,
        "",
    ),
}


def translation(
    client: str, target: str, *, origin: str = "", created: int = 0, version: str = ""
) -> Translation | None:
    """One attempt's translation; None for the same dialect twice, or one that is not known here.

    `origin` names who answers (a provider, or its family): what only that one can read, such as
    signed thinking, is marked with it and comes back to nobody else. Empty: the target's dialect.
    `created` is the Unix time in seconds that answers state. `version` is Anthropic's, for requests
    to it; empty: the old one, that takes sampling parameters.
    """
    if client == target or client not in _DIALECTS or target not in _DIALECTS:
        return None
    context = Context(origin or target, created)
    return _Pair(client, target, context, version or anthropic_write.OLD_VERSION)


class _Pair:
    """Implements `Translation`."""

    __slots__ = ("_client", "_context", "_target", "_version", "client", "target")

    def __init__(self, client: str, target: str, context: Context, version: str) -> None:
        self.client = client
        self.target = target
        self._client = _DIALECTS[client]
        self._target = _DIALECTS[target]
        self._context = context
        self._version = version

    def request(self, body: bytes, *, model: str, stream: bool) -> TranslatedRequest:
        talk = self._client.read(body)
        prepare(talk, self._context)
        path, query = "/chat/completions", ""
        headers: tuple[tuple[str, str], ...] = ()
        context = self._context
        match self.target:
            case "openai":
                told = openai_write.write(talk, context, model=model, stream=stream)
            case "responses":
                path = "/responses"
                told = responses_write.write(talk, context, model=model, stream=stream)
            case "anthropic":
                path = "/v1/messages"
                headers = (("anthropic-version", self._version),)
                told = anthropic_write.write(talk, context, model=model, version=self._version)
                if stream:
                    told["stream"] = True
            case _:
                verb = "streamGenerateContent" if stream else "generateContent"
                path, query = f"/models/{model}:{verb}", "alt=sse" if stream else ""
                told = gemini_write.write(talk, context, model=model)
        lost = tuple(sorted(talk.lost))
        return TranslatedRequest(
            body=encoded(told), path=path, query=query, headers=headers, lost=lost
        )

    def answer(self, body: bytes) -> bytes:
        answer = self._target.read_answer(body, self._context)
        answer.id = answer.id or made_id(self._client.id_prefix, body[:4096])
        for part in answer.parts:
            if isinstance(part, Call):
                part.name = self._context.names.get(part.name, part.name)
        return encoded(self._client.write_answer(answer, self._context))

    def stream(self) -> StreamTranslation:
        writer = self._client.writer(self._context)
        return Stream(self._target.reader(writer, self._context), writer)

    def error(self, status: int, body: bytes) -> bytes:
        return write_error(self.client, read_error(status, body))
