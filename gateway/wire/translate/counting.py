"""Counting a request's tokens across dialects: Messages and Gemini have a call for it, OpenAI none.

Clients that get none estimate themselves (Claude Code does), so nothing is estimated here.
"""

from __future__ import annotations

from typing import Protocol

from gateway.wire.answer import encoded
from gateway.wire.translate import anthropic_read, anthropic_write, gemini_read, gemini_write
from gateway.wire.translate.base import TranslatedRequest
from gateway.wire.translate.neutral import Context
from gateway.wire.translate.prepare import prepare
from gateway.wire.translate.reading import answer_fields, request_fields

_COUNTED = ("model", "system", "messages", "tools", "tool_choice", "thinking")
"""What Anthropic's count takes of a request."""


class Counting(Protocol):
    def request(self, body: bytes, *, model: str) -> TranslatedRequest:
        """Raises `ClientError` as `Translation.request` does."""
        ...

    def answer(self, body: bytes) -> bytes:
        """Raises `ValueError` if it holds no count."""
        ...


def counting(client: str, target: str) -> Counting | None:
    """None where the target cannot count, or nothing has to be translated."""
    if (client, target) == ("anthropic", "gemini"):
        return _ByGemini()
    if (client, target) == ("gemini", "anthropic"):
        return _ByAnthropic()
    return None


class _ByGemini:
    def request(self, body: bytes, *, model: str) -> TranslatedRequest:
        talk, context = anthropic_read.read(body), Context("gemini")
        prepare(talk, context)
        told = gemini_write.write(talk, context, model=model)
        whole = {"generateContentRequest": {"model": f"models/{model}", **told}}
        lost = tuple(sorted(talk.lost))
        return TranslatedRequest(
            body=encoded(whole), path=f"/models/{model}:countTokens", lost=lost
        )

    def answer(self, body: bytes) -> bytes:
        return encoded({"input_tokens": _count(body, "totalTokens")})


class _ByAnthropic:
    def request(self, body: bytes, *, model: str) -> TranslatedRequest:
        fields = gemini_read.camel(request_fields(body))
        inner = fields.get("generateContentRequest")
        talk, context = gemini_read.read(encoded(inner) if inner else body), Context("anthropic")
        prepare(talk, context)
        version = anthropic_write.OLD_VERSION
        told = anthropic_write.write(talk, context, model=model, version=version)
        kept = {name: told[name] for name in _COUNTED if name in told}
        return TranslatedRequest(
            body=encoded(kept),
            path="/v1/messages/count_tokens",
            headers=(("anthropic-version", version),),
            lost=tuple(sorted(talk.lost)),
        )

    def answer(self, body: bytes) -> bytes:
        return encoded({"totalTokens": _count(body, "input_tokens")})


def _count(body: bytes, name: str) -> int:
    count = answer_fields(body).get(name)
    if not isinstance(count, int):
        raise ValueError("the answer holds no count")  # noqa: TRY004  # As the interface says.
    return count
