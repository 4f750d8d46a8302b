"""The order in which a request looks at the targets: pins, duties, seats, ramps, pointer, holds."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from gateway.config import Dialect, ReturnPolicy
from gateway.events import CooldownSource, Switched, SwitchKind
from gateway.routing import pointer
from gateway.routing.affinity import Seat
from gateway.routing.cooldown import Trigger
from gateway.routing.order import RAMP, ordered
from gateway.routing.state import Pin, Ramp
from tests.gateway.routing.building import Play, at, bad, config, kinds, provider, route


def play(returns: ReturnPolicy = ReturnPolicy.AUTO) -> Play:
    providers = [provider("p"), provider("q"), provider("r")]
    return Play(config(*providers, routes=[route("coder", "p/m", "q/m", "r/m", returns=returns)]))


def order(
    of: Play, *, seat: int | None = None, now: float = 0.0, seed: int = 1, ramped: bool = False
) -> list[str]:
    """`rank target`, best first; `seat`: the index of the target on which its session lives."""
    hop = None if seat is None else of.hop(seat)
    place = None if hop is None else Seat(hop, hop.target.provider.credentials[0])
    found = ordered(of.route(), seat=place, now=at(now).instant, rng=Random(seed), ramped=ramped)
    return [f"{rank.name.lower()} {each.target.provider.name}" for rank, each in found]


def hold(of: Play, index: int, seconds: float = 300.0) -> None:
    of.hop(index).hold.rest(
        seconds, source=CooldownSource.HOLD, trigger=Trigger("x"), now=at(0.0), rng=Random(1)
    )


def suppress(of: Play, index: int) -> None:
    hop = of.hop(index)
    hop.penalty.add(3000.0, hop.stability, at(0.0).instant)


def point(of: Play, index: int) -> None:
    pointer.move(of.route(), of.hop(index), SwitchKind.FORCED, "test", now=at(0.0))


def test_the_pointer_comes_first_and_the_rest_in_the_configured_order() -> None:
    it = play()
    assert order(it) == ["pointer p", "free q", "free r"]
    point(it, 2)
    it.hop(0).evidence.next_probe = it.hop(1).evidence.next_probe = at(60.0).instant
    assert order(it) == ["pointer r", "free p", "free q"]


def test_a_session_may_prefer_targets_of_its_homes_dialect() -> None:
    dialects = {"p": Dialect.ANTHROPIC, "q": Dialect.OPENAI, "r": Dialect.ANTHROPIC}
    providers = [replace(provider(name), dialect=dialect) for name, dialect in dialects.items()]
    targets = [f"{name}/m" for name in dialects]
    for prefers, expected in (
        (True, ["seat p", "free r", "free q"]),
        (False, ["seat p", "free q", "free r"]),
    ):
        routes = [route("coder", *targets, prefer_same_family=prefers)]
        it = Play(config(*providers, routes=routes))
        assert order(it, seat=0) == expected
        assert order(it) == ["pointer p", "free q", "free r"]


def test_held_and_suppressed_targets_come_last_in_the_configured_order() -> None:
    it = play()
    suppress(it, 0)
    hold(it, 1)
    assert order(it) == ["free r", "behind p", "behind q"]
    assert order(it, now=300.0) == ["free q", "free r", "behind p"]


def test_order_never_drops_a_target() -> None:
    it = play()
    for index in range(3):
        hold(it, index)
        suppress(it, index)
    assert order(it) == ["behind p", "behind q", "behind r"]


def test_a_session_goes_to_its_seat_also_where_that_is_held() -> None:
    it = play()
    hold(it, 1)
    assert order(it, seat=1) == ["seat q", "pointer p", "free r"]


def test_a_cold_request_tests_the_best_target_that_is_due_and_a_warm_one_is_spared() -> None:
    it = play()
    point(it, 2)
    assert order(it, now=1.0) == ["duty p", "pointer r", "free q"]
    hold(it, 0)
    assert order(it, now=1.0) == ["duty q", "pointer r", "behind p"]
    assert order(it, seat=2, now=1.0) == ["seat r", "free q", "behind p"]


def test_a_warm_request_tests_when_no_other_has_come_for_long() -> None:
    it = play()
    point(it, 1)
    it.hop(0).evidence.next_probe = at(10.0).instant
    assert order(it, seat=1, now=309.0)[0] == "seat q"
    assert order(it, seat=1, now=311.0) == ["duty p", "seat q", "free r"]
    it.call(now=312.0)
    assert order(it, seat=1, now=611.0)[0] == "seat q"
    assert order(it, seat=1, now=613.0)[0] == "duty p"


def test_a_pin_comes_before_everything_and_nobody_tests_meanwhile() -> None:
    it = play()
    point(it, 1)
    hold(it, 2)
    it.route().pin = Pin(it.hop(2), at(60.0).instant, it.hop(1))
    assert order(it, seat=0, now=59.0) == ["pin r", "seat p", "pointer q"]
    assert order(it, now=60.0)[0] == "duty p"


def test_a_pin_is_a_wish_and_others_serve_where_it_cannot() -> None:
    it = play()
    it.route().pin = Pin(it.hop(2), at(60.0).instant, it.hop(0))
    assert it.ask(now=1.0).tried == ["r/m main"]
    told = it.ask({"r": bad("rate_limited", stated=30.0)}, now=2.0)
    assert told.tried == ["r/m main", "p/m main"]
    assert told.of(Switched) == []


def test_a_pin_that_runs_out_leads_back_to_where_the_route_stood() -> None:
    it = play()
    before = it.route().active
    it.route().pin = Pin(it.hop(2), at(60.0).instant, before)
    pointer.move(it.route(), it.hop(2), SwitchKind.OPERATOR, "pin", now=at(0.0))
    it.pool.restless[it.route()] = None
    assert it.ask(now=59.0).of(Switched) == []
    told = it.ask(now=60.0)
    assert told.tried == ["p/m main"]
    (back,) = told.of(Switched)
    assert (back.from_target, back.to_target) == ("r/m", "p/m")
    assert (back.switch, back.reason) == (SwitchKind.OPERATOR, "pin_expired")


def test_a_route_that_returns_by_hand_only_sends_nobody_to_look() -> None:
    it = play(ReturnPolicy.MANUAL)
    it.ask({"p": bad("server_error")})
    tried = [told for now in range(400, 4000, 60) for told in it.ask(now=float(now)).tried]
    assert set(tried) == {"q/m main"}
    assert [each.switch for each in kinds(it.events, Switched)] == [SwitchKind.FORCED]


# -- the ramp ----------------------------------------------------------------------------------


def ramped(arrivals: int) -> Play:
    """A route that has just returned to p from q, with so many new sessions in the last minute."""
    it = play()
    it.route().ramp = Ramp(at(0.0).instant, it.hop(1))
    it.route().arrivals.extend(at(-1.0).instant for _ in range(arrivals))
    return it


def following(of: Play, now: float) -> float:
    """The share of new sessions that goes to p at this time."""
    route, draws = of.route(), 2000
    count = len(route.arrivals)
    route.arrivals.clear()
    route.arrivals.extend(at(now - 1.0).instant for _ in range(count))
    first = [order(of, now=now, seed=seed, ramped=True)[0] for seed in range(draws)]
    assert set(first) <= {"ramp q", "pointer p"}
    return first.count("pointer p") / draws


def test_after_a_return_a_growing_share_of_new_sessions_follows() -> None:
    it = ramped(20)
    shares = [following(it, now) for now in (1.0, 61.0, 121.0, 181.0)]
    for share, expected in zip(shares, (*RAMP, 1.0), strict=True):
        assert abs(share - expected) < 0.04


def test_a_few_new_sessions_are_no_flood() -> None:
    assert following(ramped(10), 1.0) == 1.0


def test_a_session_that_lives_somewhere_is_not_ramped() -> None:
    it = ramped(20)
    assert {order(it, seat=0, seed=seed, ramped=True)[0] for seed in range(50)} == {"seat p"}


def test_a_request_without_a_session_follows_at_once() -> None:
    it = ramped(20)
    assert {order(it, now=1.0, seed=seed)[0] for seed in range(50)} == {"pointer p"}


def test_a_held_origin_takes_no_part_in_the_ramp() -> None:
    it = ramped(20)
    hold(it, 1)
    assert {order(it, now=1.0, seed=seed, ramped=True)[0] for seed in range(50)} == {"pointer p"}
