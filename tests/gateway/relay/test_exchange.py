"""How requests and answers cross, as they are and translated, seen from the relay."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.config import Credential, Dialect, Provider
from gateway.events import AttemptOutcome, CandidateSkipped, Failure, RequestOutcome, SkipReason
from gateway.relay.exchange import Exchanges
from gateway.routing.steps import Send
from gateway.units import AttemptId, Secret
from tests.gateway.relay.carrying import ANTHROPIC, Kept, carrier
from tests.gateway.relay.test_inbound import inbound
from tests.gateway.routing.building import clocks
from tests.upstream import Answer, ScriptedUpstream, anthropic_error, openai_error

ASKED: dict[str, Any] = {"model": "r", "messages": [{"role": "user", "content": "Hi."}]}
MESSAGES: dict[str, Any] = {**ASKED, "max_tokens": 100}
TO_ANTHROPIC = (Dialect.ANTHROPIC,)
TO_OPENAI = (Dialect.OPENAI,)


def provider(dialect: Dialect) -> Provider:
    return Provider(name="p", dialect=dialect, base_url="http://127.0.0.1:1/v1")


def send(dialect: Dialect, **more: Any) -> Send:
    return Send(
        attempt_id=AttemptId("1.1"),
        span_id="1",
        provider=provider(dialect),
        credential=Credential(name="k", key=Secret("k")),
        model="m",
        probe=False,
        timeouts=clocks(),
        by_deadline=False,
        **more,
    )


def test_one_dialect_crosses_as_it_is() -> None:
    exchanges = Exchanges(inbound(("X-Own", "1")), created=1)
    made = exchanges.of(send(Dialect.OPENAI))
    assert exchanges.cannot(provider(Dialect.OPENAI), "m") == ""
    assert (made.translated, made.translation) == ("", None)
    assert made.body == b'{ "model" : "m", "x": [1.0] }'
    assert (made.path, made.headers) == ("/chat/completions", [("X-Own", "1")])
    assert made.answer(b"any") == b"any"
    assert made.refusal(400, b"any") == b"any"
    pairs = [("content-type", "x"), ("openai-version", "1")]
    assert made.headers_to_client(pairs, stream=True) == pairs


def test_another_dialect_gets_its_own_path_and_none_of_the_clients_headers() -> None:
    asked = replace(
        inbound(("X-Stainless-Lang", "python"), ("OpenAI-Beta", "x"), query="beta=true"),
        body=json.dumps(ASKED).encode(),
    )
    made = Exchanges(asked, created=1).of(send(Dialect.ANTHROPIC))
    assert made.translated == "openai->anthropic"
    assert (made.path, made.query, made.wire.name) == ("/v1/messages", "", "anthropic")
    names = {name.lower() for name, _ in made.headers}
    assert names == {"content-type", "accept", "user-agent", "anthropic-version"}
    assert json.loads(made.body)["messages"][0]["role"] == "user"
    pairs = [("content-type", "x"), ("anthropic-x", "1"), ("request-id", "r1")]
    kept = made.headers_to_client(pairs, stream=False)
    assert kept == [("content-type", "application/json"), ("request-id", "r1")]


def test_fields_to_drop_are_those_of_the_target() -> None:
    asked = replace(inbound(), body=json.dumps({**ASKED, "max_tokens": 9}).encode())
    made = Exchanges(asked, created=1).of(send(Dialect.ANTHROPIC, drop=("max_tokens",)))
    assert "max_tokens" not in json.loads(made.body)
    assert "max_tokens" in made.dropped


def test_counts_and_embeddings_are_translated_where_both_sides_have_them() -> None:
    count = replace(
        inbound(),
        wire=ANTHROPIC,
        path="/v1/messages/count_tokens",
        body=json.dumps(ASKED).encode(),
    )
    counting = Exchanges(count, created=1)
    made = counting.of(send(Dialect.GEMINI))
    assert made.path == "/models/m:countTokens"
    assert made.answer(b'{"totalTokens": 3}') == b'{"input_tokens":3}'
    assert "not translated" in Exchanges(count, created=1).cannot(provider(Dialect.OPENAI), "m")
    embed = replace(inbound(), path="/embeddings", body=b'{"model": "r", "input": "a"}')
    assert Exchanges(embed, created=1).of(send(Dialect.GEMINI)).path.endswith("EmbedContents")


def test_what_a_target_has_no_call_for_is_refused() -> None:
    asked = replace(inbound(), path="/embeddings", body=json.dumps(ASKED).encode())
    exchanges = Exchanges(asked, created=1)
    assert "not translated" in exchanges.cannot(provider(Dialect.ANTHROPIC), "m")
    assert exchanges.cannot(provider(Dialect.OPENAI), "m") == ""


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_client_is_served_by_anthropic(stream: bool) -> None:
    async with (
        ScriptedUpstream() as upstream,
        carrier(upstream, dialects=TO_ANTHROPIC) as c,
    ):
        kept = await c.ask({**ASKED, "stream": stream})
        assert (kept.status, kept.headers["x-evenkeel-translated"]) == (200, "openai->anthropic")
        assert _text_of_chat(kept, stream=stream) == "Hello from upstream."
        (hit,) = upstream.hits
        assert (hit.path, hit.json["model"], hit.key) == ("/v1/messages", "model-a", "a-key-1")
        (attempt,) = c.attempts
        assert (attempt.outcome, attempt.changes) == (
            AttemptOutcome.OK,
            "translated:openai->anthropic",
        )
        assert c.finished.usage is not None
        assert c.finished.usage.output_tokens == 7


@pytest.mark.parametrize("stream", [False, True])
async def test_a_messages_client_is_served_by_chat(stream: bool) -> None:
    async with (
        ScriptedUpstream() as upstream,
        carrier(upstream, dialects=TO_OPENAI, wire=ANTHROPIC) as c,
    ):
        kept = await c.ask({**MESSAGES, "stream": stream}, wire=ANTHROPIC)
        assert kept.headers["x-evenkeel-translated"] == "anthropic->openai"
        expected = b"event: message_stop" if stream else b'"stop_reason":"end_turn"'
        assert expected in kept.body
        assert upstream.hits[0].path == "/v1/chat/completions"


async def test_a_refusal_is_worded_in_the_clients_dialect_with_its_own_sentence() -> None:
    said = "prompt is too long: 212000 tokens > 200000 maximum"
    async with (
        ScriptedUpstream() as upstream,
        carrier(upstream, dialects=TO_ANTHROPIC) as c,
    ):
        upstream.default = anthropic_error(400, "invalid_request_error", said)
        kept = await c.ask(ASKED)
        error = json.loads(kept.body)["error"]
        assert (kept.status, error["message"]) == (400, said)
        assert error["code"] == "context_length_exceeded"
        assert c.finished.outcome is RequestOutcome.CLIENT_ERROR
        assert c.finished.failure is Failure.CONTEXT_TOO_LONG


async def test_a_failure_is_classified_in_the_targets_dialect_and_falls_back() -> None:
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        carrier(a, b, dialects=(Dialect.ANTHROPIC, Dialect.OPENAI)) as c,
    ):
        a.default = anthropic_error(529, "overloaded_error", "Overloaded")
        kept = await c.ask(ASKED)
        assert (kept.status, kept.headers["x-evenkeel-provider"]) == (200, "b")
        assert "x-evenkeel-translated" not in kept.headers
        assert [each.failure for each in c.attempts] == [Failure.OVERLOADED, None]


async def test_a_stream_that_breaks_ends_with_the_clients_own_error() -> None:
    async with (
        ScriptedUpstream() as upstream,
        carrier(upstream, dialects=TO_OPENAI, wire=ANTHROPIC) as c,
    ):
        for broken in (Answer(end_after=1), Answer(cut_after=1), Answer(error_after=1)):
            upstream.plan(broken)
            c.emitter.events.clear()
            kept = await c.ask({**MESSAGES, "stream": True}, wire=ANTHROPIC)
            assert kept.body.count(b"event: error") == 1
            assert b"message_stop" not in kept.body
            assert c.finished.outcome is RequestOutcome.UPSTREAM_ERROR


async def test_what_cannot_be_translated_is_passed_over_and_refused_where_nobody_can() -> None:
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        carrier(a, b, dialects=(Dialect.ANTHROPIC, Dialect.OPENAI)) as c,
    ):
        kept = await c.ask({**ASKED, "n": 2})
        assert (kept.status, kept.headers["x-evenkeel-provider"]) == (200, "b")
        (skip,) = c.emitter.of(CandidateSkipped)
        assert (skip.reason, skip.cause) == (SkipReason.DIALECT, "untranslatable")
    async with ScriptedUpstream() as a, carrier(a, dialects=TO_ANTHROPIC) as c:
        kept = await c.ask({**ASKED, "n": 2})
        error = json.loads(kept.body)["error"]
        assert (kept.status, error["code"]) == (400, "untranslatable")
        assert "several answers" in error["message"]
        assert a.hits == []


async def test_an_answer_that_is_none_is_a_failure_of_the_target() -> None:
    async with (
        ScriptedUpstream() as upstream,
        carrier(upstream, dialects=TO_ANTHROPIC) as c,
    ):
        upstream.default = Answer(json={"type": "message", "content": 5})
        kept = await c.ask(ASKED)
        assert kept.status == 503
        assert c.attempts[0].failure is Failure.BAD_SUCCESS


async def test_a_key_in_a_refusal_is_masked_also_when_translated() -> None:
    async with (
        ScriptedUpstream() as upstream,
        carrier(upstream, dialects=TO_OPENAI, wire=ANTHROPIC) as c,
    ):
        upstream.default = openai_error(400, "invalid_request_error", "Bad: a-key-1.")
        kept = await c.ask(MESSAGES, wire=ANTHROPIC)
        assert kept.status == 400
        assert b"a-key-1" not in kept.body


def _text_of_chat(kept: Kept, *, stream: bool) -> str:
    if not stream:
        return str(json.loads(kept.body)["choices"][0]["message"]["content"])
    assert kept.body.endswith(b"data: [DONE]\n\n")
    lines = [line[6:] for line in kept.body.split(b"\n") if line.startswith(b"data: {")]
    deltas = [json.loads(line)["choices"] for line in lines]
    return "".join(each[0]["delta"].get("content") or "" for each in deltas if each)
