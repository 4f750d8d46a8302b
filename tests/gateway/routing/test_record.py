"""The list of a request's candidates: numbered once, told once, in the order of their happening."""

from __future__ import annotations

from msgspec.structs import asdict, replace

from gateway.events import (
    AttemptOutcome,
    CandidateSkipped,
    Failure,
    RequestOutcome,
    Scope,
    SkipReason,
    StreamEnd,
    Usage,
)
from gateway.routing.choosing import Skip
from gateway.routing.record import UNABLE, Record
from gateway.routing.state import Candidate
from gateway.routing.steps import Seen
from tests.gateway.routing.building import (
    SEEN,
    Play,
    at,
    bad,
    config,
    facts,
    provider,
    route,
)


def play() -> Play:
    providers = [provider("p", "a", "b"), provider("q")]
    return Play(config(*providers, routes=[route("coder", "p/m", "q/m")]))


def candidate(of: Play, index: int, key: int = 0) -> Candidate:
    hop = of.hop(index)
    return Candidate(hop, hop.target.provider.credentials[key])


def test_attempts_and_skips_are_numbered_together() -> None:
    it, record = play(), Record(facts(), "coder")
    (skip,) = record.skip([Skip(it.hop(0), "a", SkipReason.COOLING, "auth")], at(0.0))
    attempt = record.begin(candidate(it, 0, 1), span_id="s1", now=at(0.0))
    assert (skip.n, attempt.n, attempt.id) == (1, 2, "r1.2")


def test_a_candidate_passed_over_twice_is_told_once() -> None:
    it, record = play(), Record(facts(), "coder")
    skips = [Skip(it.hop(0), "", SkipReason.COOLING, "overloaded")]
    assert len(record.skip(skips, at(0.0))) == 1
    assert record.skip(skips, at(1.0)) == []


def test_a_target_with_an_attempt_on_record_is_not_told_as_skipped() -> None:
    it, record = play(), Record(facts(), "coder")
    record.begin(candidate(it, 0), span_id="s1", now=at(0.0))
    skips = [
        Skip(it.hop(0), "", SkipReason.SAME_FAULT),
        Skip(it.hop(0), "b", SkipReason.AT_CAPACITY),
        Skip(it.hop(1), "", SkipReason.DIALECT),
    ]
    told = record.skip(skips, at(0.0))
    assert [(each.provider, each.credential) for each in told] == [("p", "b"), ("q", "")]


def test_the_end_of_what_a_skip_waits_for_is_told_as_a_date() -> None:
    it, record = play(), Record(facts(), "coder")
    skip = Skip(it.hop(0), "", SkipReason.COOLING, "overloaded", at(30.0).instant)
    (event,) = record.skip([skip], at(10.0))
    assert event == CandidateSkipped(
        ts=at(10.0).timestamp,
        request_id=facts().request_id,
        trace_id="t",
        n=1,
        route="coder",
        provider="p",
        model="m",
        credential="",
        session="",
        reason=SkipReason.COOLING,
        cause="overloaded",
        until=at(30.0).timestamp,
    )


def test_only_a_target_that_could_have_served_is_a_fallback_s_origin() -> None:
    for reason in SkipReason:
        it, record = play(), Record(facts(), "coder")
        record.skip([Skip(it.hop(0), "", reason)], at(0.0))
        served = record.begin(candidate(it, 1), span_id="s1", now=at(0.0))
        served.content_at = at(1.0).instant
        expected = ("", "") if reason in UNABLE else ("p/m", reason.value)
        assert record.fallback() == expected


def test_another_key_of_the_same_target_is_no_fallback() -> None:
    it, record = play(), Record(facts(), "coder")
    first = record.begin(candidate(it, 0), span_id="s1", now=at(0.0))
    record.failed(first, bad("rate_limited"))
    second = record.begin(candidate(it, 0, 1), span_id="s2", now=at(1.0))
    assert record.fallback() == ("", "")
    second.content_at = at(2.0).instant
    assert record.fallback() == ("", "")
    assert record.served() is second


def test_the_overhead_ends_with_the_first_attempt_whatever_follows() -> None:
    it, record = play(), Record(facts(began=at(0.0)), "coder")
    record.failed(record.begin(candidate(it, 0), span_id="s1", now=at(0.5)), bad("connect"))
    record.begin(candidate(it, 1), span_id="s2", now=at(5.0)).content_at = at(6.0).instant
    record.keep(SEEN)
    event = record.request_event(at(7.0), outcome=RequestOutcome.OK, status=200)
    assert (event.overhead_seconds, event.first_content_seconds) == (0.5, 6.0)
    assert (event.duration_seconds, event.bytes_sent) == (7.0, 10)


def test_a_rescued_request_tells_what_it_lost_and_how_it_ended() -> None:
    it, record = play(), Record(facts(), "coder")
    first = record.begin(candidate(it, 0), span_id="s1", now=at(1.0))
    record.failed(first, bad(Failure.OVERLOADED))
    second = record.begin(candidate(it, 1), span_id="s2", now=at(4.0))
    second.content_at = at(5.0).instant
    for outcome, end in (
        (RequestOutcome.OK, StreamEnd.COMPLETE),
        (RequestOutcome.UPSTREAM_ERROR, StreamEnd.BROKEN),
        (RequestOutcome.CANCELLED, StreamEnd.CLIENT_GONE),
    ):
        event = record.request_event(at(6.0), outcome=outcome, status=200)
        assert (event.lost_seconds, event.stream_end, event.billing) == (3.0, end, "metered")


def test_a_request_that_nobody_served_has_no_end_of_a_stream() -> None:
    it, record = play(), Record(facts(), "coder")
    record.failed(record.begin(candidate(it, 0), span_id="s", now=at(1.0)), bad(Failure.UNKNOWN))
    event = record.request_event(at(2.0), outcome=RequestOutcome.UPSTREAM_ERROR, status=418)
    assert (event.lost_seconds, event.stream_end, event.billing) == (None, None, "")


def test_an_attempt_tells_what_was_changed_and_the_words_of_an_unknown_failure() -> None:
    it, record = play(), Record(facts(), "coder")
    change = "anthropic->openai"
    seen = replace(SEEN, translated=change, dropped=("thinking",), quota_remaining=0.25)
    for failure, excerpt in ((Failure.UNKNOWN, "w" * 300), (Failure.OVERLOADED, "")):
        attempt = record.begin(candidate(it, 0), span_id="s", now=at(0.0))
        attempt.adapted = ("tool_ids",)
        record.failed(attempt, replace(bad(failure), message="w" * 500))
        event = record.attempt_event(attempt, AttemptOutcome.FAILED, now=at(1.0), seen=seen)
        assert event.changes == f"translated:{change} adapted:tool_ids dropped:thinking"
        assert (event.excerpt, event.quota_remaining, event.billing) == (excerpt, 0.25, "metered")


SPENT = Usage(input_tokens=9)
KNOWN = facts(
    7,
    trace_id="trace",
    span_id="span",
    parent_span_id="parent",
    session="session",
    client="client",
    endpoint="endpoint",
    requested_model="asked",
    body_tokens=101,
    bytes_received=102,
    began=at(1.0),
    conversation="conversation",
    continued="continued",
    first_turn=True,
    reasoning=True,
    no_fallback=True,
    deadline_seconds=103.0,
    client_retries=104,
)
SAW = Seen(
    status=201,
    upstream_request_id="upstream",
    bytes_sent=105,
    usage=SPENT,
    cost_usd=0.5,
    quota_remaining=0.125,
)
ATTEMPT = {
    "ts": at(9.0).timestamp,
    "request_id": "r7",
    "attempt_id": "r7.2",
    "trace_id": "trace",
    "span_id": "attempt span",
    "n": 2,
    "route": "label",
    "provider": "q",
    "model": "m",
    "credential": "main",
    "session": "session",
    "outcome": AttemptOutcome.FAILED,
    "failure": Failure.UNKNOWN,
    "reason": "code",
    "status": 201,
    "scope": Scope.TARGET,
    "stated_seconds": 106.0,
    "probe": True,
    "started": at(2.0).timestamp,
    "duration_seconds": 7.0,
    "first_content_seconds": 3.0,
    "bytes_sent": 105,
    "upstream_request_id": "upstream",
    "usage": SPENT,
    "cost_usd": 0.5,
    "billing": "metered",
    "changes": "adapted:thinking",
    "excerpt": "excerpt",
    "quota_remaining": 0.125,
}
REQUEST = {
    "ts": at(10.0).timestamp,
    "request_id": "r7",
    "trace_id": "trace",
    "span_id": "span",
    "parent_span_id": "parent",
    "route": "label",
    "session": "session",
    "client": "client",
    "endpoint": "endpoint",
    "requested_model": "asked",
    "stream": True,
    "outcome": RequestOutcome.OK,
    "status": 202,
    "failure": Failure.UNKNOWN,
    "reason": "code",
    "provider": "q",
    "model": "m",
    "credential": "main",
    "attempts": 1,
    "skipped": 1,
    "fallback_from": "p/m",
    "fallback_reason": "held",
    "started": at(1.0).timestamp,
    "duration_seconds": 9.0,
    "first_content_seconds": 4.0,
    "overhead_seconds": 0.75,
    "bytes_received": 102,
    "bytes_sent": 105,
    "usage": SPENT,
    "cost_usd": 0.5,
    "billing": "metered",
    "lost_seconds": 0.0,
    "waited_seconds": 0.75,
    "stream_end": StreamEnd.COMPLETE,
    "client_retries": 104,
    "body_tokens": 101,
    "first_turn": True,
    "reasoning": True,
    "no_fallback": True,
    "deadline_seconds": 103.0,
    "conversation": "conversation",
    "continued": "continued",
}
"""Each value is another one, so that none can be exchanged; of what is only true or false the next
test does the same."""


def test_every_field_of_a_request_and_its_attempt_is_in_its_place() -> None:
    """They are made by position."""
    it, record = play(), Record(KNOWN, "label")
    record.skip([Skip(it.hop(0), "", SkipReason.HELD)], at(1.5))
    attempt = record.begin(candidate(it, 1), span_id="attempt span", now=at(2.0), probe=True)
    record.waited_first, record.waited = 0.25, 0.75
    attempt.content_at = at(5.0).instant
    attempt.adapted = ("thinking",)
    attempt.bad = bad(Failure.UNKNOWN, stated=106.0, excerpt="excerpt")
    told = record.attempt_event(
        attempt, AttemptOutcome.FAILED, scope=Scope.TARGET, now=at(9.0), seen=SAW
    )
    assert asdict(told) == ATTEMPT
    record.keep(SAW)
    assert asdict(record.request_event(at(10.0), outcome=RequestOutcome.OK, status=202)) == REQUEST


def test_what_is_only_true_or_false_is_in_its_place() -> None:
    names = ("stream", "first_turn", "reasoning", "no_fallback")
    for name in names:
        record = Record(facts(**{each: each == name for each in names}), "coder")
        event = record.request_event(at(1.0), outcome=RequestOutcome.OK, status=200)
        assert [each for each in names if getattr(event, each)] == [name]
