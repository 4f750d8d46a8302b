"""What one attempt does with an answer's bytes; the loop around it is `test_loop`'s."""

from __future__ import annotations

import pytest

from gateway.config import Timeouts
from gateway.events import AttemptOutcome, Failure
from gateway.wire.base import Wire
from tests.gateway.relay.carrying import ANTHROPIC, OPENAI, Kept, carrier
from tests.upstream import Answer, ScriptedUpstream

CHAT = {"model": "r", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = {**CHAT, "stream": True}
CONTENT = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
DONE = b"data: [DONE]\n\n"
KEY_EVENT = b'data: {"error":{"message":"key a-key-1 is bad"}}\n\n'


def sse(*chunks: bytes, **more: object) -> Answer:
    return Answer(chunks=chunks, content_type="text/event-stream", **more)  # type: ignore[arg-type]


async def test_the_head_of_a_stream_is_held_until_there_is_content() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        a.default = sse(ROLE, b": ping\n\n", CONTENT, CONTENT, DONE, between_chunks=0.02)
        kept = await c.ask(STREAM)
        assert kept.body == ROLE + b": ping\n\n" + CONTENT + CONTENT + DONE
        assert kept.writes == 3  # The head with the first content, then chunk by chunk.
        [attempt] = c.attempts
        assert attempt.first_content_seconds is not None
        assert 0.03 < attempt.first_content_seconds <= attempt.duration_seconds


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_client_that_takes_slowly_gets_the_same_bytes(at_once: bool) -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        a.default = sse(ROLE, CONTENT, CONTENT[:9], CONTENT[9:], DONE, between_chunks=0.01)
        kept = await c.ask(STREAM, answer=Kept(at_once=at_once))
        assert kept.body == ROLE + CONTENT + CONTENT + DONE
        assert (kept.writes, kept.ended) == (3, True)
        [attempt] = c.attempts
        assert attempt.outcome is AttemptOutcome.OK
        assert attempt.bytes_sent == len(kept.body)


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_stream_that_falls_silent_is_given_up(at_once: bool) -> None:
    timeouts = Timeouts(idle_seconds=0.1)
    async with ScriptedUpstream() as a, carrier(a, timeouts=timeouts) as c:
        a.default = sse(CONTENT, CONTENT, CONTENT, hang_after=2, between_chunks=0.06)
        kept = await c.ask(STREAM, answer=Kept(at_once=at_once))
        assert kept.body.startswith(CONTENT + CONTENT)
        assert c.attempts[0].failure is Failure.IDLE_TIMEOUT
        assert c.attempts[0].duration_seconds > 0.15


async def test_what_comes_behind_the_end_is_passed_on_and_never_a_failure() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        a.default = sse(CONTENT, DONE, b": bye", cut_after=3, between_chunks=0.02)
        kept = await c.ask(STREAM)
        assert kept.body == CONTENT + DONE + b": bye"
        assert c.attempts[0].outcome is AttemptOutcome.OK


async def test_a_stream_kept_open_behind_its_end_ends_all_the_same() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        a.default = sse(CONTENT, DONE, b": x\n\n", hang_after=2)
        kept = await c.ask(STREAM)
        assert kept.body == CONTENT + DONE
        assert kept.ended
        assert c.attempts[0].outcome is AttemptOutcome.OK
        assert c.attempts[0].duration_seconds < 3


@pytest.mark.parametrize(
    ("wire", "answer"),
    [
        (OPENAI, sse(CONTENT, KEY_EVENT)),
        (OPENAI, sse(CONTENT, CONTENT, KEY_EVENT, between_chunks=0.02)),
        (ANTHROPIC, Answer(error_after=2, error={"type": "x", "message": "key a-key-1 is bad"})),
    ],
)
async def test_an_error_event_does_not_carry_the_key_to_the_client(
    wire: Wire, answer: Answer
) -> None:
    async with ScriptedUpstream() as a, carrier(a, wire=wire) as c:
        a.default = answer
        kept = await c.ask({**STREAM, "max_tokens": 5}, wire=wire)
        assert b"a-key-1" not in kept.body
        assert b"key *** is bad" in kept.body
        assert c.attempts[0].failure is Failure.STREAM_BROKEN
        assert "a-key-1" not in repr(c.emitter.events)


async def test_a_single_answer_that_stalls_within_its_body_is_given_up() -> None:
    timeouts = Timeouts(idle_seconds=0.2)
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        carrier(a, b, timeouts=timeouts) as c,
    ):
        a.default = Answer(hang_after=2)
        kept = await c.ask(CHAT)
        assert kept.headers["x-evenkeel-provider"] == "b"
        assert c.attempts[0].failure is Failure.IDLE_TIMEOUT
        assert c.attempts[0].reason == "idle"


async def test_the_provider_s_id_and_usage_are_on_record() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        a.default = Answer(headers={"x-request-id": "r" * 200}, input_tokens=31, output_tokens=9)
        for body in (CHAT, {**STREAM, "stream_options": {"include_usage": True}}):
            await c.ask(body)
        for attempt in c.attempts:
            assert attempt.upstream_request_id == "r" * 128
            assert attempt.usage is not None
            assert (attempt.usage.input_tokens, attempt.usage.output_tokens) == (31, 9)
