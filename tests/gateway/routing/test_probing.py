"""Half-open places and better targets: one probe at a time, and what its outcome decides."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from gateway.config import Credential, ReturnPolicy
from gateway.events import (
    AttemptFinished,
    CandidateSkipped,
    CooldownEnd,
    CooldownEnded,
    CooldownSource,
    CooldownStarted,
    Scope,
    SkipReason,
    Switched,
    SwitchKind,
)
from gateway.routing.call import Call
from gateway.routing.clocks import LEASE_SLACK_SECONDS
from gateway.routing.steps import GiveUp, Send, Wait
from tests.gateway.routing.building import (
    NOT_SEEN,
    Play,
    Script,
    Told,
    answer,
    at,
    bad,
    candidate_of,
    clocks,
    config,
    credential,
    kinds,
    provider,
    route,
    sent,
)

DOWN: Script = {"p": bad("server_error")}
NO_HOLD: dict[str, Any] = {"cooldown_min_seconds": 0.0, "cooldown_multiplier": 0.0}


def play(*keys: str | Credential, others: str = "q", **more: Any) -> Play:
    providers = [provider("p", *keys), *(provider(name) for name in others)]
    targets = [f"{each.name}/m" for each in providers]
    return Play(config(*providers, routes=[route("coder", *targets)], **more))


def opened(*keys: str, others: str = "q", **more: Any) -> tuple[Play, float]:
    """A route whose first target has just opened, and when its rest ends."""
    it = play(*keys, others=others, **{**NO_HOLD, **more})
    calls = [it.call() for _ in range(3)]
    for call in calls:
        sent(call, 0.0)
    for call in calls:
        call.failed(bad("server_error"), at(1.0), NOT_SEEN)
    spot = it.hop(0).target.spot
    assert spot.cooldown is not None
    return it, spot.cooldown.until - at(0.0).instant


def crowd(of: Play, count: int, now: float) -> tuple[list[tuple[Call, Send]], list[Call]]:
    """So many requests at once: those that were sent somewhere, and those told to wait."""
    of.pool.expire(at(now))
    going, waiting = [], []
    for call in [of.call(now=now) for _ in range(count)]:
        step, _ = call.step(at(now))
        if isinstance(step, Send):
            going.append((call, step))
        else:
            assert isinstance(step, Wait | GiveUp)
            waiting.append(call)
    return going, waiting


def probed(going: list[tuple[Call, Send]]) -> list[tuple[Call, Send]]:
    return [each for each in going if each[1].probe]


# -- one at a time -----------------------------------------------------------------------------


def test_of_a_hundred_at_the_moment_a_rest_ends_exactly_one_is_the_probe() -> None:
    it, end = opened()
    it.ask(now=2.0)  # The pointer moves to q.
    going, waiting = crowd(it, 100, end)
    assert (len(going), waiting) == (100, [])
    on_p = [send for _, send in going if send.provider.name == "p"]
    assert [send.probe for send in on_p] == [True]
    assert sum(send.provider.name == "q" for _, send in going) == 99


@pytest.mark.parametrize("moved", [True, False])
def test_a_failed_probe_reopens_with_the_next_step_and_costs_one_attempt(moved: bool) -> None:
    it, end = opened()
    if moved:
        it.ask(now=2.0)
    going, _ = crowd(it, 100, end)
    ((probe, _),) = probed(going)
    events = probe.failed(bad("server_error"), at(end + 5.0), NOT_SEEN)
    (rest,) = kinds(events, CooldownStarted)
    assert (rest.scope, rest.level) == (Scope.TARGET, 2)
    assert 60.0 <= rest.duration_seconds <= 72.0
    assert candidate_of(sent(probe, end + 5.0)) == "q/m main"
    more, _ = crowd(it, 100, end + 6.0)
    assert {send.provider.name for _, send in more} == {"q"}


def test_a_good_probe_proves_the_target_at_its_first_content() -> None:
    it, end = opened()
    going, _ = crowd(it, 3, end)
    ((probe, send),) = probed(going)
    assert send.provider.name == "p"
    probe.committed(at(end + 1.0))
    assert not it.hop(0).target.spot.unproven
    assert not it.hop(0).target.probed(at(end + 1.0).instant)
    # The route had not moved: it goes on where it was, and nobody probes any more.
    again, _ = crowd(it, 10, end + 2.0)
    assert {(each.provider.name, each.probe) for _, each in again} == {("p", False)}


def test_while_a_probe_is_under_way_the_others_of_a_lonely_route_wait_for_its_outcome() -> None:
    it, end = opened(others="")
    going, waiting = crowd(it, 10, end)
    assert [send.probe for _, send in going] == [True]
    assert len(waiting) == 9
    going[0][0].committed(at(end + 0.5))
    assert set(it.pool.waiting.woken()) == {call.facts.request_id for call in waiting}
    assert {candidate_of(sent(call, end + 0.5)) for call in waiting} == {"p/m main"}


def test_more_than_the_queue_holds_are_refused_at_once() -> None:
    it, end = opened(others="", queue_waiters=5)
    _, waiting = crowd(it, 100, end)
    phases = [call.phase.value for call in waiting]
    assert (phases.count("selecting"), phases.count("done")) == (5, 94)


def test_a_cancelled_probe_gives_its_place_to_the_next() -> None:
    it, end = opened()
    it.ask(now=2.0)
    going, _ = crowd(it, 5, end)
    ((probe, _),) = probed(going)
    events = probe.abandoned(at(end + 1.0), NOT_SEEN)
    (told,) = kinds(events, AttemptFinished)
    assert (told.probe, told.scope) == (True, None)
    assert it.hop(0).target.spot.on_trial(at(end + 1.0).instant)
    # A better target is looked at again after the probe gap.
    assert probed(crowd(it, 5, end + 14.0)[0]) == []
    assert len(probed(crowd(it, 5, end + 15.0)[0])) == 1


def test_a_cancelled_probe_of_the_pointer_s_own_target_is_repeated_at_once() -> None:
    it, end = opened()
    ((probe, _),) = probed(crowd(it, 5, end)[0])
    probe.abandoned(at(end + 1.0), NOT_SEEN)
    assert len(probed(crowd(it, 5, end + 1.0)[0])) == 1


def test_a_client_s_own_fault_proves_nothing_and_gives_the_place_back() -> None:
    it, end = opened()
    ((probe, _),) = probed(crowd(it, 5, end)[0])
    probe.failed(bad("bad_request"), at(end + 1.0), NOT_SEEN)
    spot = it.hop(0).target.spot
    assert (spot.on_trial(at(end + 1.0).instant), spot.lease) == (True, None)


def test_a_lease_ends_by_itself_should_nobody_give_it_back() -> None:
    it, end = opened()
    ((_, send),) = probed(crowd(it, 1, end)[0])
    lease = send.timeouts.first_content_seconds + LEASE_SLACK_SECONDS
    assert probed(crowd(it, 5, end + lease - 0.1)[0]) == []
    assert len(probed(crowd(it, 5, end + lease + 0.1)[0])) == 1


def test_a_late_answer_of_an_overtaken_probe_proves_nothing() -> None:
    it, end = opened()
    ((late, send),) = probed(crowd(it, 1, end)[0])
    after = end + send.timeouts.first_content_seconds + LEASE_SLACK_SECONDS + 1.0
    ((second, _),) = probed(crowd(it, 1, after)[0])
    answer(late, after + 1.0)
    assert it.hop(0).target.spot.unproven
    answer(second, after + 2.0)
    assert not it.hop(0).target.spot.unproven


def test_a_probe_of_a_target_has_a_tight_limit_where_another_can_serve() -> None:
    it, end = opened(probe_first_content_seconds=4.0)
    ((_, send),) = probed(crowd(it, 1, end)[0])
    assert (send.timeouts.first_content_seconds, send.timeouts.headers_seconds) == (4.0, 4.0)
    lonely, end = opened(others="", probe_first_content_seconds=4.0)
    ((_, send),) = probed(crowd(lonely, 1, end)[0])
    assert send.timeouts == clocks()


def test_two_targets_of_one_resting_provider_take_one_probe_together() -> None:
    settings = config(provider("p"), routes=[route("coder", "p/m"), route("other", "p/n")])
    it = Play(settings)
    spot = it.pool.providers["p"].spot
    spot.doubt(0, at(0.0).instant)
    first = it.call()
    assert sent(first, 0.0).probe
    step, _ = it.call("other").step(at(0.0))
    assert isinstance(step, Wait)
    answer(first, 0.5)
    assert not sent(it.call("other"), 0.5).probe


# -- keys on trial -----------------------------------------------------------------------------


def test_a_rested_key_is_tested_by_one_cold_request_before_the_ready_ones() -> None:
    it = play("a", "b")
    it.ask({"p/m a": bad("rate_limited", stated=30.0)})
    going, _ = crowd(it, 20, 40.0)
    assert [candidate_of(send) for _, send in going] == ["p/m a"] + ["p/m b"] * 19
    assert [send.probe for _, send in going] == [True] + [False] * 19


def test_a_key_that_is_refused_again_rests_for_the_next_step() -> None:
    it = play("a", "b")
    it.ask({"p/m a": bad("auth")})
    told = it.ask({"p/m a": bad("auth")}, now=400.0)
    assert told.tried == ["p/m a", "p/m b"]
    (rest,) = told.of(CooldownStarted)
    assert (rest.credential, rest.level) == ("a", 2)
    assert 600.0 <= rest.duration_seconds <= 720.0


def test_one_request_tests_one_key_and_no_more() -> None:
    it = play("a", "b", "c")
    script: Script = {"p/m a": bad("auth"), "p/m b": bad("auth")}
    it.ask(script)
    told = it.ask(script, now=400.0)
    assert told.tried == ["p/m a", "p/m c"]
    assert it.ask(script, now=401.0).tried == ["p/m b", "p/m c"]
    assert it.ask(script, now=402.0).tried == ["p/m c"]


def test_a_session_tests_no_key_for_the_others() -> None:
    it = play("a", "b")
    it.ask({"p/m a": bad("rate_limited", stated=30.0)}, session="s")
    told = it.ask(now=40.0, session="s")
    assert (told.tried, told.of(AttemptFinished)[0].probe) == (["p/m b"], False)


def test_keys_on_trial_serve_where_no_other_is_left_whoever_asks() -> None:
    it = play("a", others="")
    it.ask({"p": bad("rate_limited", stated=30.0)}, session="s")
    told = it.ask(now=40.0, session="s")
    assert (told.tried, told.of(AttemptFinished)[0].probe) == (["p/m a"], True)


# -- better targets ----------------------------------------------------------------------------


def returned(of: Play, start: float, *, every: float = 16.0, count: int = 5) -> list[Told]:
    return [of.ask(now=start + every * n) for n in range(count)]


def test_a_route_returns_on_evidence_with_one_event() -> None:
    it = play()
    it.ask(DOWN)
    told = returned(it, 400.0)
    assert [each.of(AttemptFinished)[0].probe for each in told] == [True] * 5
    switches = kinds(it.events, Switched)
    assert [each.switch for each in switches] == [SwitchKind.FORCED, SwitchKind.RETURN]
    assert (switches[1].reason, switches[1].reversal) == ("recovered", True)
    assert switches[1].ts == at(464.0).timestamp


def test_between_two_looks_there_is_a_gap_that_doubles_with_each_failure() -> None:
    it = play()
    it.ask(DOWN)
    looks = []
    for now in range(400, 2000, 5):
        told = it.ask({"p": bad("overloaded")}, now=float(now))
        if told.tried[0] == "p/m main":
            looks.append(now)
    # Its breaker opens too: never more than one look in a gap, and the gaps grow.
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert len(looks) >= 4
    assert gaps[0] >= 30
    assert all(later >= earlier for earlier, later in pairwise(gaps))
    assert gaps[-1] >= 300


def test_a_failure_between_good_answers_begins_the_count_anew() -> None:
    it = play()
    it.ask(DOWN)
    returned(it, 400.0, count=4)
    it.ask(DOWN, now=464.0)
    it.pool.expire(at(1000.0))
    assert [told.of(Switched) for told in returned(it, 1000.0, count=4)] == [[]] * 4


def test_five_good_answers_within_seconds_are_not_enough() -> None:
    it = play(probe_gap_seconds=1.0)
    it.ask(DOWN)
    told = returned(it, 400.0, every=2.0, count=30)
    assert all(each.of(Switched) == [] for each in told)
    assert len(it.ask(now=461.0).of(Switched)) == 1


def test_a_probe_that_fails_is_served_by_the_present_target_and_moves_nothing() -> None:
    it = play()
    it.ask(DOWN)
    told = it.ask(DOWN, now=400.0)
    assert told.tried == ["p/m main", "q/m main"]
    assert told.of(Switched) == []
    assert [event.source for event in told.of(CooldownStarted)] == []


def test_only_a_request_that_is_not_warm_is_sent_to_look() -> None:
    it = play()
    it.ask(DOWN, session="s")
    asked = [it.ask(now=now * 50.0, session="s") for now in range(1, 12)]
    assert {tuple(told.tried) for told in asked} == {("q/m main",)}
    assert it.ask(now=560.0).tried == ["p/m main"]


def test_a_warm_request_is_sent_to_look_when_no_other_has_come_for_long() -> None:
    it = play()
    told = it.ask(DOWN, session="s")
    end = told.of(CooldownStarted)[0].duration_seconds
    looks = []
    for now in range(10, 1000, 10):
        if it.ask(now=float(now), session="s").tried == ["p/m main"]:
            looks.append(now)
            break
    assert end + 300.0 <= looks[0] <= end + 310.0


def test_a_better_target_without_room_is_not_looked_at() -> None:
    it = play(credential("a", max_in_flight=1))
    busy = it.call()
    sent(busy, 0.0)
    it.ask({"p": bad("server_error")}, now=1.0)
    it.route().active = it.hop(1)
    assert it.ask(now=400.0).waits == []


def test_a_return_policy_of_session_end_returns_the_route_too() -> None:
    providers = [provider("p"), provider("q")]
    targets = route("coder", "p/m", "q/m", returns=ReturnPolicy.SESSION_END)
    it = Play(config(*providers, routes=[targets]))
    it.ask(DOWN)
    assert returned(it, 400.0)[-1].of(Switched)[0].switch is SwitchKind.RETURN


# -- rests that are looked at before they end ---------------------------------------------------


def test_a_long_stated_rest_is_looked_at_by_one_request_per_interval() -> None:
    it = play(**NO_HOLD, recheck_seconds=5.0, probe_gap_max_seconds=1.0)
    it.ask({"p": bad("rate_limited", stated=500_000.0)})
    hits = []
    for tick in range(1, 60):
        now = tick * 0.5
        told = it.ask({"p": bad("rate_limited", stated=500_000.0)}, now=now)
        if told.tried[0] == "p/m main":
            hits.append(now)
            assert told.tried == ["p/m main", "q/m main"]
    assert all(later - earlier >= 5.0 for earlier, later in pairwise(hits))
    assert len(hits) >= 3
    assert kinds(it.events, CooldownEnded) == []


def test_a_wrong_hint_is_found_out_and_the_rest_ends_early_by_the_probe() -> None:
    it = play(**NO_HOLD, recheck_seconds=5.0, return_good_seconds=0.0, return_good_answers=1)
    it.ask({"p": bad("rate_limited", stated=500_000.0)})
    told = it.ask(now=5.0)
    assert told.tried == ["p/m main"]
    (end,) = told.of(CooldownEnded)
    assert (end.ended, end.source) == (CooldownEnd.PROBE, CooldownSource.STATED)
    assert end.duration_seconds == pytest.approx(5.0)
    assert it.ask(now=6.0).tried == ["p/m main"]


def test_a_stated_rest_within_the_interval_is_left_alone() -> None:
    it = play(recheck_seconds=100.0)
    it.ask({"p": bad("rate_limited", stated=90.0)})
    assert all(it.ask(now=float(now)).tried == ["q/m main"] for now in range(1, 90, 5))


def test_requests_that_find_it_resting_extend_nothing() -> None:
    it = play(others="")
    it.ask({"p": bad("rate_limited", stated=40.0)})
    spots = [spot.cooldown.until for spot in it.pool.resting() if spot.cooldown]
    for n in range(100):
        told = it.ask(now=1.0 + n * 0.1)
        assert told.tried == []
    assert [spot.cooldown.until for spot in it.pool.resting() if spot.cooldown] == spots


def test_when_everything_rests_by_guesses_one_request_looks_after_the_gap() -> None:
    it = play(others="")
    it.ask({"p": bad("rate_limited")})
    assert it.ask(now=10.0).tried == []
    going, _ = crowd(it, 20, 15.0)
    assert [(send.probe, candidate_of(send)) for _, send in going] in (
        [(True, "p/m main")],
        [],
    )


def test_a_guess_is_doubted_at_growing_intervals() -> None:
    it = play(others="")
    it.ask({"p": bad("quota_exhausted")})
    again: Script = {"p": bad("quota_exhausted")}
    looks = [now for now in range(1, 700) if it.ask(again, now=float(now)).tried]
    assert looks == [15, 45, 105, 225, 465]
    assert it.ask(now=764.0).tried == []
    told = it.ask(now=765.0)
    assert told.of(CooldownEnded)[0].ended is CooldownEnd.PROBE


def test_a_stated_rest_is_not_doubted_though_nothing_else_is_left() -> None:
    it = play(others="")
    it.ask({"p": bad("rate_limited", stated=600.0)})
    assert all(it.ask(now=float(now)).tried == [] for now in range(1, 590, 10))


def test_what_a_crowd_is_told_of_a_probed_target_is_that_it_is_probed() -> None:
    it, end = opened()
    it.ask(now=2.0)
    crowd(it, 1, end)
    # Nothing prefers p now; were it the route's own target, its skip would say so.
    it.route().active = it.hop(0)
    told = it.ask(now=end + 1.0)
    (skip,) = told.of(CandidateSkipped)
    assert (skip.provider, skip.reason) == ("p", SkipReason.PROBING)
