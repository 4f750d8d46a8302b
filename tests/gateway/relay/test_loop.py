from __future__ import annotations

import asyncio

import pytest

from gateway.config import Stability, Timeouts
from gateway.events import (
    AttemptOutcome,
    CandidateSkipped,
    CooldownStarted,
    Failure,
    RequestOutcome,
    SkipReason,
    Switched,
)
from tests.gateway.relay.carrying import ANTHROPIC, Kept, carrier
from tests.upstream import Answer, ScriptedUpstream, empty, html, openai_error

CHAT = {"model": "r", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = {**CHAT, "stream": True}
MESSAGES = {**CHAT, "max_tokens": 50}


async def test_a_single_answer_passes_byte_for_byte() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        a.default = Answer(body=b'{"choices": [{"message": {"content": "\\u00e9 "}}],\n "x":1}  ')
        kept = await c.ask(b'{ "model":"r","messages" : [{}], "odd": [1.0 ,2]}')
        assert (kept.status, kept.body, kept.ended) == (200, a.default.body, True)
        assert a.hits[0].body == b'{ "model":"model-a","messages" : [{}], "odd": [1.0 ,2]}'
        assert kept.headers["x-evenkeel-provider"] == "a"
        assert kept.headers["x-evenkeel-model"] == "model-a"
        assert kept.headers["x-evenkeel-credential"] == "key-1"
        assert kept.headers["x-evenkeel-attempts"] == "1"
        assert "x-evenkeel-fallback-from" not in kept.headers
        assert c.finished.outcome is RequestOutcome.OK
        assert c.finished.bytes_sent == len(kept.body)


@pytest.mark.parametrize("wire", [ANTHROPIC, None])
async def test_a_stream_passes_byte_for_byte(wire: object) -> None:
    from tests.gateway.relay.carrying import OPENAI

    kind = ANTHROPIC if wire else OPENAI
    body = {**(MESSAGES if wire else CHAT), "stream": True}
    async with ScriptedUpstream() as a, carrier(a, wire=kind) as c:
        kept = await c.ask(body, wire=kind)
        again = await c.ask(body, wire=kind)
        assert kept.status == 200
        assert kept.body == again.body
        assert kept.ended
        assert (b"message_stop" if wire else b"[DONE]") in kept.body
        assert kept.headers["cache-control"] == "no-cache"


FAILING = [
    Answer(cut_after=0),
    Answer(status=500, json={}),
    Answer(status=429, json={}),
    Answer(reset=True),
    empty(),
    html(),
    Answer(json={"error": {"message": "no"}}),
    Answer(status=302, headers={"location": "https://example.com/"}),
]
STREAMS_ONLY = [Answer(error_after=0), Answer(end_after=0)]


@pytest.mark.parametrize(
    ("answer", "stream"),
    [(each, True) for each in FAILING + STREAMS_ONLY] + [(each, False) for each in FAILING],
)
async def test_what_fails_before_content_falls_back_unseen(answer: Answer, *, stream: bool) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, carrier(a, b) as c:
        a.default = answer
        kept = await c.ask(STREAM if stream else CHAT)
        assert kept.status == 200
        assert kept.headers["x-evenkeel-provider"] == "b"
        assert kept.headers["x-evenkeel-fallback-from"] == "a/model-a"
        assert b"error" not in kept.body
        assert c.finished.outcome is RequestOutcome.OK
        assert [each.outcome for each in c.attempts] == [AttemptOutcome.FAILED, AttemptOutcome.OK]
        assert c.in_flight() == 0


async def test_a_stream_that_breaks_after_content_ends_in_one_error_event() -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, carrier(a, b) as c:
        a.default = Answer(cut_after=3)
        kept = await c.ask(STREAM)
        assert kept.status == 200
        assert kept.body.count(b'"error"') == 1
        assert b"[DONE]" not in kept.body
        assert kept.ended
        assert not b.hits
        assert c.attempts[0].failure is Failure.STREAM_BROKEN
        assert c.finished.outcome is RequestOutcome.UPSTREAM_ERROR
        assert c.finished.bytes_sent > 0
        assert c.in_flight() == 0


async def test_a_frame_cut_in_half_is_not_glued_to_the_error_event() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        frame = b'data: {"choices":[{"delta":{"content":"word"}}]}\n\n'
        a.default = Answer(chunks=[frame, frame + frame[:20]], cut_after=2)
        kept = await c.ask(STREAM)
        frames = kept.body.split(b"\n\n")
        assert frames[:2] == [frame.strip()] * 2
        assert frames[2].startswith(b'data: {"error"')
        assert frames[3:] == [b""]


async def test_the_providers_own_error_event_is_told_once() -> None:
    async with ScriptedUpstream() as a, carrier(a, wire=ANTHROPIC) as c:
        a.default = Answer(error_after=3)
        kept = await c.ask({**MESSAGES, "stream": True}, wire=ANTHROPIC)
        assert kept.body.count(b"event: error") == 1
        assert b"message_stop" not in kept.body
        assert c.attempts[0].failure is Failure.STREAM_BROKEN


async def test_a_bad_request_keeps_the_providers_words_and_touches_nothing() -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, carrier(a, b) as c:
        words = b'{"error": {"message": "prompt is too long: 9 > 8",  "type": "x"}}'
        a.default = Answer(status=400, body=words)
        kept = await c.ask(CHAT)
        assert (kept.status, kept.body) == (400, words)
        assert not b.hits
        assert c.finished.outcome is RequestOutcome.CLIENT_ERROR
        assert not c.emitter.of(CooldownStarted)
        assert not c.emitter.of(Switched)


async def test_when_nobody_can_serve_the_answer_lists_everyone() -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, carrier(a, b) as c:
        a.default = openai_error(429, "rate_limit_exceeded", "Slow down.")
        a.default = Answer(status=429, headers={"retry-after": "7"}, json={})
        b.default = Answer(status=401, json={})
        kept = await c.ask(CHAT)
        assert kept.status == 429
        assert 7 <= int(kept.headers["retry-after"]) <= 10
        assert b"a/model-a" in kept.body
        assert b"b/model-b" in kept.body
        assert c.finished.outcome is RequestOutcome.EXHAUSTED


async def test_three_keys_are_walked_in_order_and_remembered() -> None:
    keys = ("key-1", "key-2", "key-3")
    async with ScriptedUpstream() as a, carrier(a, keys=keys) as c:
        a.plan(Answer(status=429, headers={"retry-after": "60"}, json={}), key="a-key-1")
        a.plan(Answer(status=401, json={}), key="a-key-2")
        kept = await c.ask(CHAT)
        assert kept.headers["x-evenkeel-credential"] == "key-3"
        assert [each.failure for each in c.attempts] == [Failure.RATE_LIMITED, Failure.AUTH, None]
        for _ in range(3):
            await c.ask(CHAT)
        assert a.hits_by_key() == {"a-key-1": 1, "a-key-2": 1, "a-key-3": 4}


async def test_the_fallback_serves_while_the_fallback_cooldown_lasts() -> None:
    """The regression of the origin: there every further request failed for 450 s."""
    stability = Stability(cooldown_min_seconds=0.4, breaker_base_seconds=0.1, cooldown_multiplier=1)
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        carrier(a, b, stability=stability) as c,
    ):
        a.default = Answer(status=500, json={})
        for number in range(21):
            kept = await c.ask(STREAM if number % 2 else CHAT)
            assert (kept.status, kept.headers["x-evenkeel-provider"]) == (200, "b")
        assert (len(a.hits), len(b.hits)) == (1, 21)
        assert len(c.emitter.of(Switched)) == 1
        skipped = c.emitter.of(CandidateSkipped)
        assert {each.reason for each in skipped} == {SkipReason.HELD}
        a.default = Answer()
        await asyncio.sleep(0.5)
        kept = await c.ask(CHAT)
        assert kept.headers["x-evenkeel-provider"] == "a"


async def test_silence_before_content_falls_back_and_hangs_up() -> None:
    timeouts = Timeouts(first_content_seconds=0.2, headers_seconds=0.2)
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        carrier(a, b, timeouts=timeouts) as c,
    ):
        a.default = Answer(before_content=5.0)
        kept = await c.ask(STREAM)
        assert kept.headers["x-evenkeel-provider"] == "b"
        assert c.attempts[0].failure is Failure.FIRST_CONTENT_TIMEOUT
        await asyncio.wait_for(a.hits[0].until_disconnected(), 2.0)


async def test_silence_after_content_ends_the_stream() -> None:
    async with ScriptedUpstream() as a, carrier(a, timeouts=Timeouts(idle_seconds=0.2)) as c:
        a.default = Answer(hang_after=3)
        kept = await c.ask(STREAM)
        assert c.attempts[0].failure is Failure.IDLE_TIMEOUT
        assert kept.body.count(b'"error"') == 1
        await asyncio.wait_for(a.hits[0].until_disconnected(), 2.0)


async def test_the_deadline_blames_nobody() -> None:
    stability = Stability(deadline_seconds=0.3)
    async with ScriptedUpstream() as a, carrier(a, stability=stability) as c:
        a.default = Answer(hang=True)
        kept = await c.ask(STREAM)
        assert kept.status == 504
        assert c.attempts[0].failure is Failure.DEADLINE
        assert not c.emitter.of(CooldownStarted)


async def test_a_client_that_goes_away_cancels_the_call_upstream() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        a.default = Answer(between_chunks=0.05, text=["word "] * 200)
        await c.ask(STREAM, answer=Kept(gone_after=2))
        await asyncio.wait_for(a.hits[0].until_disconnected(), 2.0)
        assert c.attempts[0].outcome is AttemptOutcome.CANCELLED
        assert c.finished.outcome is RequestOutcome.CANCELLED
        assert c.in_flight() == 0
        assert not c.emitter.of(CooldownStarted)


async def test_a_cancelled_request_gives_everything_back() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c, asyncio.TaskGroup() as group:
        a.default = Answer(hang=True)
        task = group.create_task(c.ask(STREAM))
        await a.until_hits(1)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.wait_for(a.hits[0].until_disconnected(), 2.0)
        assert task.cancelled()
        assert c.in_flight() == 0
        assert (c.finished.outcome, c.finished.status) == (RequestOutcome.CANCELLED, 499)


async def test_a_provider_that_echoes_a_key_does_not_reach_the_client_with_it() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        a.default = Answer(status=400, body=b'{"error":{"message":"bad a-key-1 request"}}')
        kept = await c.ask(CHAT)
        assert kept.status == 400
        assert b"a-key-1" not in kept.body
