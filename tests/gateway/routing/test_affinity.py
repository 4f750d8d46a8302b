"""Bindings of sessions as books alone: who is remembered, for how long, and what a move costs."""

from __future__ import annotations

from gateway.config import Stability
from gateway.routing.affinity import SESSIONS_MAX, Binding, Seat, Sessions, patience
from gateway.routing.state import Candidate
from tests.gateway.routing.building import Play, at, config, provider, route

USUAL = Stability()


def candidates() -> list[Candidate]:
    it = Play(config(provider("p", "a", "b"), provider("q"), routes=[route("coder", "p/m", "q/m")]))
    return [
        Candidate(hop, key) for hop in it.route().hops for key in hop.target.provider.credentials
    ]


def find(of: Sessions, key: str, now: float, body_tokens: int = 100) -> Binding | None:
    return of.find(key, body_tokens, USUAL, at(now).instant)


def bind(of: Sessions, key: str, candidate: Candidate, now: float = 0.0) -> Binding:
    return of.bind(key, candidate, USUAL, at(now).instant)


def test_a_session_is_found_on_its_seat_until_it_has_been_idle_too_long() -> None:
    it, (first, *_) = Sessions(), candidates()
    bind(it, "s", first)
    found = find(it, "s", 300.0)
    assert found is not None
    assert found.seat == Seat(first.hop, first.credential)
    assert found.seat.holds(first)
    it.touch("s", found, body_tokens=100, now=at(300.0).instant)
    assert find(it, "s", 600.0) is found
    assert find(it, "s", 600.1) is None
    assert len(it) == 0


def test_a_request_without_a_key_or_of_an_unknown_session_has_no_seat() -> None:
    it, (first, *_) = Sessions(), candidates()
    bind(it, "s", first)
    assert find(it, "", 1.0) is None
    assert find(it, "t", 1.0) is None


def test_looking_only_forgets_nobody() -> None:
    it, (first, *_) = Sessions(), candidates()
    bind(it, "s", first)
    assert it.find("s", 100, USUAL, at(900.0).instant, look_only=True) is None
    assert len(it) == 1


def test_a_request_less_than_half_as_long_as_the_last_has_been_compacted() -> None:
    it, (first, *_) = Sessions(), candidates()
    binding = bind(it, "s", first)
    it.touch("s", binding, body_tokens=100_000, now=at(1.0).instant)
    assert find(it, "s", 2.0, body_tokens=50_000) is binding
    assert find(it, "s", 2.0, body_tokens=49_999) is None
    # It is remembered where it was: its next answer tells of the move.
    assert it.peek("s") is binding


def test_a_detour_is_the_seat_while_there_is_one() -> None:
    it, (home, detour, _) = Sessions(), candidates()
    binding = bind(it, "s", home)
    binding.detour = Seat(detour.hop, detour.credential)
    assert binding.seat.holds(detour)
    binding.detour = None
    assert binding.seat.holds(home)


def test_the_session_idle_longest_makes_room_for_a_new_one() -> None:
    it, (first, *_) = Sessions(), candidates()
    for n in range(SESSIONS_MAX):
        bind(it, f"s{n}", first, now=n * 0.001)
    oldest = find(it, "s0", 11.0)
    assert oldest is not None
    it.touch("s0", oldest, body_tokens=100, now=at(11.0).instant)
    bind(it, "new", first, now=12.0)
    assert len(it) == SESSIONS_MAX
    assert it.peek("s0") is not None
    assert it.peek("s1") is None


def test_sessions_on_a_target_that_is_gone_are_forgotten() -> None:
    it, (p, other, q) = Sessions(), candidates()
    bind(it, "home", p)
    bind(it, "elsewhere", q)
    bind(it, "detour", q).detour = Seat(other.hop, other.credential)
    it.keep([q.hop])
    assert [it.peek(key) is None for key in ("home", "elsewhere", "detour")] == [True, False, True]


def waits(cached: int | None, *, left: float = 90.0) -> float:
    binding = None
    if cached is not None:
        binding = bind(Sessions(), "s", candidates()[0])
        binding.cached_tokens = cached
    return patience(binding, USUAL, left)


def test_patience_grows_with_the_cache_that_a_move_would_lose_up_to_its_bound() -> None:
    assert waits(None) == 2.0
    assert waits(0) == 2.0
    assert waits(50_000) == 12.0
    assert waits(500_000) == 20.0


def test_nobody_waits_longer_than_half_of_what_is_left() -> None:
    assert waits(500_000, left=10.0) == 5.0
    assert waits(None, left=1.0) == 0.5
    assert waits(None, left=-1.0) == 0.0
