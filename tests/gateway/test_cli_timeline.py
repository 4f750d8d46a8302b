from __future__ import annotations

from typing import Any

from gateway.cli_timeline import Line, began, timeline
from gateway.units import MICROS

START = 1_795_435_200_000_000


def at(seconds: float) -> int:
    return START + round(seconds * MICROS)


def request(seconds: float, **values: Any) -> dict[str, Any]:
    whole = {"started": START, "duration_seconds": seconds, "outcome": "ok", "status": 200}
    return {**whole, **values}


def tried(n: int, start: float, took: float, **values: Any) -> dict[str, Any]:
    return {
        "n": n,
        "attempt_id": f"r.{n}",
        "provider": "sunny",
        "model": "a",
        "credential": "main",
        "outcome": "ok",
        "started": at(start),
        "ts": at(start + took),
        "duration_seconds": took,
        **values,
    }


def skipped(n: int, when: float, **values: Any) -> dict[str, Any]:
    found = {"n": n, "attempt_id": None, "provider": "sunny", "model": "a", "credential": ""}
    return {**found, "outcome": "skipped", "started": None, "ts": at(when), **values}


def event(kind: str, when: float, **values: Any) -> dict[str, Any]:
    return {"kind": kind, "ts": at(when), "route": "coder", **values}


SWITCHED = event(
    "switched", 1.2, **{"from": "sunny/a", "to": "cloudy/b", "dwell_seconds": 61.0, "reason": "x"}
)
RESTS = event(
    "cooldown_started",
    0.52,
    provider="sunny",
    model="a",
    duration_seconds=47.0,
    reason="overloaded",
    source="ladder",
    level=2,
    trigger_attempt_id="r.2",
)


def told(lines: list[Line]) -> list[tuple[float, int, str]]:
    return [((line.at - START) / MICROS, line.n, line.words) for line in lines]


def test_candidates_stand_in_order_and_under_each_what_followed_from_it() -> None:
    candidates = [
        skipped(1, 0.02, reason="cooling", cause="rate_limited", until=at(20.02)),
        tried(2, 0.02, 0.5, outcome="failed", failure="overloaded", status=529, reason="busy"),
        tried(3, 0.52, 2.9, provider="cloudy", model="b", first_content_seconds=0.68),
    ]
    # Given newest first, and among what the candidates themselves are told by.
    happened = [SWITCHED, RESTS, event("attempt_finished", 3.42), event("candidate_skipped", 0.02)]
    assert told(timeline(request(3.42, bytes_sent=401), candidates, happened)) == [
        (0.0, 0, "began"),
        (0.02, 1, "sunny/a skipped: cooling (rate_limited), for 20 s more"),
        (0.02, 2, "sunny/a [main] tried: failed after 0.5 s, overloaded (529, busy)"),
        (0.52, 2, "sunny/a rests for 47 s: overloaded (ladder, level 2)"),
        (0.52, 3, "cloudy/b [main] tried: answered in 2.9 s"),
        (1.2, 3, "first content, 0.68 s after it was asked"),
        (1.2, 3, "coder switched sunny/a → cloudy/b (x), after 1 m 01 s"),
        (3.42, 3, "ended: ok, status 200, 401 bytes sent"),
    ]


def test_a_session_that_moved_and_a_history_that_was_adapted_have_their_place() -> None:
    candidates = [
        tried(1, 0.0, 0.3, outcome="failed", failure="bad_request", status=400, reason=""),
        tried(2, 0.3, 1.0, changes="translated adapted:thinking"),
    ]
    adapted = event(
        "history_adapted", 0.3, attempt_id="r.2", adapted=["thinking"], provider="sunny"
    )
    moved = event("session_moved", 0.9, **{"from": "a/x", "to": "sunny/a", "move": "detour"})
    words = [line.words for line in timeline(request(1.3), candidates, [moved, adapted])]
    assert words[2:-1] == [
        "sunny/a [main] tried: answered in 1 s",
        "sent with changes: translated, adapted:thinking",
        "sunny refused another's thinking: sent again without",
        "coder: session moved a/x → sunny/a (detour)",
    ]


def test_what_happens_as_the_next_candidate_begins_belongs_to_the_one_before() -> None:
    candidates = [tried(1, 0.0, 0.3, outcome="failed", failure="auth"), tried(2, 0.3, 1.0)]
    alike = event("pool_wide_failure", 0.3, provider="sunny", credentials=3, failure="auth")
    words = [line.words for line in timeline(request(1.3), candidates, [alike])]
    assert words[2] == "3 credentials of sunny failed alike: auth"
    assert words[3] == "sunny/a [main] tried: answered in 1 s"


def test_waiting_is_told_where_it_was() -> None:
    candidates = [
        tried(1, 0.9, 0.1, outcome="failed", failure="rate_limited", stated_seconds=1.5),
        tried(2, 2.5, 0.5),
    ]
    lines = timeline(request(3.0, waited_seconds=2.4), candidates, [])
    assert told(lines)[1:5] == [
        (0.0, 0, "waited 0.9 s for a candidate"),
        (
            0.9,
            1,
            "sunny/a [main] tried: failed after 0.1 s, rate_limited, and asked for a rest of 1.5 s",
        ),
        (1.0, 1, "waited 1.5 s for a candidate"),
        (2.5, 2, "sunny/a [main] tried: answered in 0.5 s"),
    ]
    # A gap in which nobody waited is the gateway's own time.
    assert not any("waited" in line.words for line in timeline(request(3.0), candidates, []))


def test_probes_ends_and_unknown_errors_are_named() -> None:
    candidates = [
        tried(1, 0.0, 0.2, outcome="failed", failure="unknown", excerpt="moon in the way"),
        tried(2, 0.2, 0.3, outcome="cancelled", probe=True),
    ]
    gone = request(0.5, outcome="cancelled", status=200, stream_end="client_gone")
    words = [line.words for line in timeline(gone, candidates, [])]
    assert words[1:] == [
        "sunny/a [main] tried: failed after 0.2 s, unknown",
        "it said: moon in the way",
        "sunny/a [main] tried as a probe: cancelled after 0.3 s",
        "ended: cancelled, status 200, the client went away",
    ]


def test_a_clock_that_was_set_back_does_not_turn_the_order_round() -> None:
    candidates = [tried(1, 5.0, 0.1, outcome="failed", failure="connect"), tried(2, 1.0, 0.1)]
    lines = timeline(request(0.3), candidates, [])
    assert [line.n for line in lines if line.outcome] == [1, 2]


def test_a_request_that_is_not_over_begins_with_its_first_candidate_and_has_no_end() -> None:
    candidates = [skipped(1, 0.25, reason="held"), tried(2, 0.25, 0.5)]
    assert began(None, candidates) == at(0.25)
    assert [line.n for line in timeline(None, candidates, [])] == [1, 2]
    assert began(None, []) == 0
    assert timeline(None, [], []) == []
