from __future__ import annotations

from gateway.events import AttemptOutcome, RequestOutcome
from gateway.replay.figures import Decision, Told, agreement, figures, happened
from gateway.replay.recorded import Move
from gateway.units import Timestamp
from tests.gateway.replay.building import SINCE, UNTIL, at, attempt, failed, recorded, request

OK, FAILED = AttemptOutcome.OK, AttemptOutcome.FAILED


def decision(name: str, *tried: tuple[str, AttemptOutcome]) -> Decision:
    return Decision(
        request_id=name,
        outcome=RequestOutcome.OK if tried[-1][1] is OK else RequestOutcome.EXHAUSTED,
        tried=tuple((target, "main", outcome) for target, outcome in tried),
        added_seconds=2.0 if tried[-1][1] is OK else None,
    )


def told(*decisions: Decision) -> Told:
    made = Told(first={"coder": "a/m"})
    made.decisions = {each.request_id: each for each in decisions}
    return made


def test_every_request_is_counted_by_what_came_of_it() -> None:
    made = told(
        decision("1", ("a/m", OK)),
        decision("2", ("a/m", FAILED), ("b/m", OK)),
        decision("3", ("a/m", FAILED), ("b/m", FAILED)),
    )
    found = figures(made, since=SINCE, until=UNTIL)
    assert (found.requests, found.served, found.rescued, found.failed) == (3, 2, 1, 1)
    assert (found.attempts, found.wasted_attempts) == (5, 3)
    assert (found.added_seconds, found.added_max_seconds) == (4.0, 2.0)


def test_the_time_on_each_target_is_what_lies_between_the_moves() -> None:
    made = told()
    made.moves = [
        Move(Timestamp(at(600)), "coder", "a/m", "b/m", "forced", reversal=False),
        Move(Timestamp(at(900)), "coder", "b/m", "a/m", "return", reversal=True),
    ]
    found = figures(made, since=SINCE, until=UNTIL)
    assert found.target_seconds == {"coder": {"a/m": 3300.0, "b/m": 300.0}}
    assert (found.switches, found.returns, found.reversals) == (2, 1, 1)


def test_the_record_is_counted_as_a_run_is() -> None:
    switch = {
        "ts": at(1.1),
        "route": "coder",
        "from": "a/model",
        "to": "b/model",
        "kind": "forced",
        "reversal": False,
    }
    rows = [failed(1.0), attempt(1.5, "b/model", request_id="r1", n=2)]
    found = recorded([request(1.0)], rows, switches=[switch])
    really = happened(found, {"coder": "elsewhere"})
    assert really.first == {"coder": "a/model"}
    assert really.decisions["r1"].added_seconds == 0.5
    assert figures(really, since=SINCE, until=UNTIL).rescued == 1


def test_decisions_agree_where_candidates_and_end_are_the_same() -> None:
    same = decision("1", ("a/m", OK))
    before = [same, decision("2", ("a/m", FAILED), ("b/m", OK)), decision("3", ("a/m", OK))]
    found = agreement(before, told(same, decision("2", ("b/m", OK))).decisions)
    assert (found.decisions, found.same) == (3, 1)
    assert [then.request_id for then, _ in found.examples] == ["2"]
