"""One place's rests: facts in, events out, compared by their times."""

from __future__ import annotations

from random import Random

from gateway.events import (
    CooldownEnd,
    CooldownEnded,
    CooldownExtended,
    CooldownSource,
    CooldownStarted,
    Event,
    Scope,
)
from gateway.routing.cooldown import Lease, Place, Spot, Trigger
from gateway.routing.policy import JITTER, Ladder
from tests.gateway.routing.building import START, at

LADDER = Ladder(base_seconds=15.0, cap_seconds=300.0)
TRIGGER = Trigger("rate_limited", "r1", "r1.1")


def spot() -> Spot:
    place = Place(Scope.CREDENTIAL_MODEL, "openai", "gpt", "main")
    return Spot(place, decay_seconds=600.0)


def climb(of: Spot, seconds: float) -> list[Event]:
    return of.climb(LADDER, trigger=TRIGGER, now=at(seconds), rng=Random(1))


def rest(of: Spot, length: float, *, now: float, reason: str = "rate_limited") -> list[Event]:
    return of.rest(
        length,
        source=CooldownSource.STATED,
        trigger=Trigger(reason),
        now=at(now),
        rng=Random(int(now)),
    )


def started(events: list[Event]) -> CooldownStarted:
    (event,) = [each for each in events if isinstance(each, CooldownStarted)]
    return event


def ended(events: list[Event]) -> CooldownEnded:
    (event,) = [each for each in events if isinstance(each, CooldownEnded)]
    return event


def test_a_rest_says_where_why_and_until_when() -> None:
    event = started(rest(spot(), 40.0, now=2.0))
    assert (event.scope, event.provider, event.model, event.credential, event.route) == (
        Scope.CREDENTIAL_MODEL,
        "openai",
        "gpt",
        "main",
        "",
    )
    assert (event.reason, event.source) == ("rate_limited", CooldownSource.STATED)
    assert event.ts == at(2.0).timestamp
    assert event.until == at(42.0).timestamp
    assert (event.duration_seconds, event.level, event.relapse) == (40.0, 0, False)


def test_a_place_rests_until_its_end_and_no_longer() -> None:
    it = spot()
    rest(it, 40.0, now=0.0)
    assert it.rests(at(39.999).instant)
    assert not it.rests(at(40.0).instant)
    assert it.running(at(40.0).instant) is None


def test_an_end_is_told_once_and_dated_when_it_was_not_when_it_was_noticed() -> None:
    it = spot()
    begun = started(rest(it, 40.0, now=0.0))
    assert it.expire(at(39.0)) == []
    event = ended(it.expire(at(55.0)))
    assert event.cooldown_id == begun.cooldown_id
    assert (event.ended, event.duration_seconds) == (CooldownEnd.EXPIRED, 40.0)
    assert (event.ended_at, event.ts) == (at(40.0).timestamp, at(55.0).timestamp)
    assert it.expire(at(56.0)) == []


def test_the_later_of_two_ends_wins_whichever_comes_first() -> None:
    it = spot()
    begun = started(rest(it, 40.0, now=0.0))
    assert rest(it, 10.0, now=5.0) == []
    (longer,) = rest(it, 60.0, now=5.0, reason="quota_exhausted")
    assert isinstance(longer, CooldownExtended)
    assert longer.cooldown_id == begun.cooldown_id
    assert (longer.until, longer.duration_seconds) == (at(65.0).timestamp, 65.0)
    assert longer.reason == "quota_exhausted"
    assert rest(it, 60.0, now=5.0) == []


def test_a_ladder_doubles_with_each_relapse_up_to_its_cap() -> None:
    it, now, lengths = spot(), 0.0, []
    for _ in range(7):
        event = started(climb(it, now))
        lengths.append(event.duration_seconds)
        now += event.duration_seconds
    for level, seconds in enumerate(lengths, start=1):
        base = min(300.0, 15.0 * 2 ** (level - 1))
        assert base <= seconds <= base * (1 + JITTER)


def test_a_place_that_rests_does_not_climb() -> None:
    it = spot()
    climb(it, 0.0)
    assert climb(it, 1.0) == []
    assert it.level(at(1.0).instant) == 1


def test_a_ladder_falls_one_step_per_clean_decay_and_one_success_does_not_reset_it() -> None:
    it, now = spot(), 0.0
    for _ in range(3):
        now += started(climb(it, now)).duration_seconds
    it.expire(at(now))
    assert it.level(at(now + 599.0).instant) == 3
    assert it.level(at(now + 601.0).instant) == 2
    assert it.level(at(now + 1201.0).instant) == 1
    assert it.level(at(now + 6000.0).instant) == 0


def test_a_ladder_falls_also_while_nobody_notices_the_end() -> None:
    it = spot()
    until = started(climb(it, 0.0)).duration_seconds
    assert it.level(at(until + 601.0).instant) == 0
    assert started(climb(it, until + 601.0)).level == 1


def test_peace_before_a_stated_rest_is_not_forgotten_after_it() -> None:
    it, now = spot(), 0.0
    for _ in range(3):
        now += started(climb(it, now)).duration_seconds
    rest(it, 5.0, now=now + 1201.0)
    assert it.level(at(now + 1206.5).instant) == 1


def test_a_relapse_is_a_rest_sooner_than_the_last_one_was_long() -> None:
    it = spot()
    rest(it, 40.0, now=0.0)
    assert started(rest(it, 40.0, now=79.0)).relapse
    assert not started(rest(it, 40.0, now=160.0)).relapse


def test_a_new_rest_ends_the_unnoticed_old_one_first() -> None:
    it = spot()
    first = started(rest(it, 40.0, now=0.0))
    events = rest(it, 40.0, now=50.0)
    assert [event.kind for event in events] == ["cooldown_ended", "cooldown_started"]
    assert ended(events).cooldown_id == first.cooldown_id
    assert started(events).cooldown_id != first.cooldown_id


def test_an_operator_ends_a_rest_early_and_forgets_the_ladder() -> None:
    it = spot()
    climb(it, 0.0)
    event = ended(it.end(CooldownEnd.OPERATOR, now=at(5.0), actor="ann", note="mended"))
    assert (event.ended, event.actor, event.note) == (CooldownEnd.OPERATOR, "ann", "mended")
    assert event.duration_seconds == 5.0
    assert it.level(at(5.0).instant) == 0
    assert it.end(CooldownEnd.OPERATOR, now=at(6.0)) == []


def test_an_operator_who_comes_too_late_finds_the_rest_expired() -> None:
    it = spot()
    rest(it, 40.0, now=0.0)
    assert ended(it.end(CooldownEnd.OPERATOR, now=at(41.0))).ended is CooldownEnd.EXPIRED


def test_a_running_rest_knows_its_length() -> None:
    it = spot()
    rest(it, 40.0, now=0.0)
    cooldown = it.running(START.instant)
    assert cooldown is not None
    assert cooldown.seconds == 40.0


# -- trials and probes ---------------------------------------------------------------------------


def lease(attempt: str, until: float) -> Lease:
    return Lease(attempt, at(until).instant)


def test_after_a_failure_s_rest_a_place_is_on_trial_until_a_probe_proves_it() -> None:
    it = spot()
    climb(it, 0.0)
    assert not it.on_trial(at(1.0).instant)
    it.expire(at(20.0))
    assert it.on_trial(at(20.0).instant)
    it.probe(lease("r2.1", 30.0), at(20.0).instant)
    assert it.probed(at(29.9).instant)
    assert it.prove("r2.1", at(21.0)) == []
    assert (it.on_trial(at(21.0).instant), it.probed(at(21.0).instant)) == (False, False)


def test_a_hold_and_an_operator_s_rest_put_nothing_on_trial() -> None:
    for source in (CooldownSource.HOLD, CooldownSource.OPERATOR):
        it = spot()
        it.rest(10.0, source=source, trigger=TRIGGER, now=at(0.0), rng=Random(1))
        it.expire(at(10.0))
        assert not it.on_trial(at(10.0).instant)


def test_only_who_holds_the_lease_can_prove_it_or_give_it_back() -> None:
    it = spot()
    climb(it, 0.0)
    it.expire(at(20.0))
    it.probe(lease("r2.1", 30.0), at(20.0).instant)
    assert it.prove("r1.1", at(21.0)) == []
    it.give_back("r1.1")
    assert it.probed(at(21.0).instant)
    it.give_back("r2.1")
    assert not it.probed(at(21.0).instant)
    assert it.on_trial(at(21.0).instant)


def test_a_probe_s_good_answer_ends_a_rest_that_still_runs() -> None:
    it = spot()
    begun = started(rest(it, 5000.0, now=0.0))
    it.probe(lease("r2.1", 910.0), at(900.0).instant)
    event = ended(it.prove("r2.1", at(901.0)))
    assert (event.cooldown_id, event.ended) == (begun.cooldown_id, CooldownEnd.PROBE)
    assert event.duration_seconds == 901.0
    assert not it.rests(at(901.0).instant)
    # One good answer does not forget the ladder.
    climb(it, 902.0)
    assert it.level(at(902.0).instant) == 1


def test_a_long_stated_rest_is_due_for_a_look_once_per_interval() -> None:
    it = spot()
    rest(it, 5000.0, now=0.0)
    due = [it.recheck_due(900.0, at(now).instant) for now in (0.0, 899.0, 900.0)]
    assert due == [False, False, True]
    it.probe(lease("r2.1", 910.0), at(900.0).instant)
    assert [it.recheck_due(900.0, at(now).instant) for now in (901.0, 1799.0, 1800.0)] == [
        False,
        False,
        True,
    ]


def test_a_short_or_a_guessed_rest_is_never_due_for_a_look() -> None:
    short, guessed = spot(), spot()
    rest(short, 900.0, now=0.0)
    guessed.climb(Ladder(5000.0, 5000.0), trigger=TRIGGER, now=at(0.0), rng=Random(1))
    assert not any(short.recheck_due(900.0, at(now).instant) for now in range(0, 1000, 50))
    assert not any(guessed.recheck_due(900.0, at(now).instant) for now in range(0, 6000, 50))


def test_a_guess_may_be_doubted_after_a_gap_that_doubles_up_to_its_bound() -> None:
    it, looks = spot(), []
    it.climb(Ladder(5000.0, 5000.0), trigger=TRIGGER, now=at(0.0), rng=Random(1))
    for now in range(1500):
        if it.guess_due(15.0, 300.0, at(now).instant):
            looks.append(now)
            it.probe(lease("x", now + 1.0), at(now).instant)
    assert looks == [15, 45, 105, 225, 465, 765, 1065, 1365]


def test_a_rest_that_turns_out_to_blame_another_has_never_been() -> None:
    it, now = spot(), 0.0
    for _ in range(2):
        now += started(climb(it, now)).duration_seconds
    it.expire(at(now))
    it.unproven = False
    climb(it, now + 1.0)
    assert it.level(at(now + 1.0).instant) == 3
    event = ended(it.end(CooldownEnd.SUPERSEDED, now=at(now + 2.0)))
    assert event.ended is CooldownEnd.SUPERSEDED
    assert (it.level(at(now + 2.0).instant), it.unproven) == (2, False)


def test_its_last_end_is_known_whether_noticed_or_not() -> None:
    it = spot()
    assert it.last_end == 0.0
    rest(it, 40.0, now=0.0)
    assert it.last_end == at(40.0).instant
    it.expire(at(50.0))
    assert it.last_end == at(40.0).instant
