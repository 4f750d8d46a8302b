"""Which pairs there are, and that whole answers and errors come over in each."""

from __future__ import annotations

import json

import pytest

from gateway.wire.translate import anthropic_answer, gemini_answer, openai_answer, responses_answer
from gateway.wire.translate.base import DIALECTS
from gateway.wire.translate.neutral import Context, Stop, Used
from gateway.wire.translate.registry import translation
from tests.gateway.wire.translate.recorded import CALLS, PAIRS, TEXT, THOUGHT, whole_answer
from tests.gateway.wire.translate.telling import content_of

READ = {
    "openai": openai_answer.read,
    "responses": responses_answer.read,
    "anthropic": anthropic_answer.read,
    "gemini": gemini_answer.read,
}


@pytest.mark.parametrize("dialect", [*DIALECTS, "cohere"])
def test_there_is_none_between_a_dialect_and_itself_nor_to_an_unknown_one(dialect: str) -> None:
    assert translation(dialect, dialect) is None
    assert translation("openai", "cohere") is None


@pytest.mark.parametrize(("client", "target"), PAIRS)
@pytest.mark.parametrize("calls", [True, False])
def test_a_whole_answer_comes_over(client: str, target: str, calls: bool) -> None:
    pair = translation(client, target)
    assert pair is not None
    out = pair.answer(whole_answer(target, calls=calls))
    answer = READ[client](out, Context("o"))
    assert content_of(answer) == (THOUGHT, TEXT, "", CALLS if calls else [])
    assert answer.model == "m-1"
    assert answer.used == Used(input=100, cached=60, output=30, reasoning=10)
    if client in ("openai", "anthropic"):
        assert answer.stop is (Stop.TOOLS if calls else Stop.DONE)


@pytest.mark.parametrize(("client", "target"), PAIRS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"choices":[]}', b'{"x":1}'])
def test_what_is_no_answer_is_a_value_error(client: str, target: str, body: bytes) -> None:
    pair = translation(client, target)
    assert pair is not None
    with pytest.raises(ValueError, match=r"answer|candidates"):
        pair.answer(body)


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_a_refusal_keeps_its_sentence(client: str, target: str) -> None:
    pair = translation(client, target)
    assert pair is not None
    said = "Rate limit reached for m in organisation x: try again in 20s"
    body = {"error": {"message": said, "type": "x", "code": 429, "status": "RESOURCE_EXHAUSTED"}}
    told = json.loads(pair.error(429, json.dumps(body).encode()))["error"]
    assert told["message"] == said
    kinds = {"openai": "rate_limit_error", "responses": "rate_limit_error"}
    kinds |= {"anthropic": "rate_limit_error", "gemini": "RESOURCE_EXHAUSTED"}
    assert kinds[client] in (told.get("type"), told.get("status"))
