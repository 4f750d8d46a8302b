"""Short fair queues for room, and that nothing in them is ever left behind."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from gateway.routing.waiting import Waiting
from tests.gateway.routing.building import Play, bad, config, credential, provider, route
from tests.gateway.routing.crowd import Crowd


def play(*, cap: int = 2, others: str = "q", **more: Any) -> Play:
    """`p` with room for `cap` at once, and providers without caps."""
    providers = [provider("p", max_in_flight=cap), *(provider(name) for name in others)]
    targets = [f"{each.name}/m" for each in providers]
    return Play(config(*providers, routes=[route("coder", *targets)], **more))


def places(crowd: Crowd) -> list[tuple[float, str]]:
    """(seconds waited, provider) of every request, in the order of arrival."""
    return [(guest.waited, guest.where[:1]) for guest in crowd.guests]


def nothing_is_left(crowd: Crowd) -> None:
    pool = crowd.play.pool
    assert len(pool.waiting) == 0
    assert all((state.in_flight, state.queue) == (0, {}) for state in pool.providers.values())
    assert all(key.in_flight == 0 for s in pool.providers.values() for key in s.credentials)
    assert all(each.waiting == 0 for each in pool.routes.values())
    assert all(target.lease is None for target in pool.targets())


# -- the books ---------------------------------------------------------------------------------


def test_a_request_waits_once_however_often_it_joins() -> None:
    it, books = play(), Waiting()
    route, p = it.route(), it.pool.providers["p"]
    assert [books.join("a", route, p) for _ in range(3)] == [True] * 3
    assert (route.waiting, list(p.queue), len(books)) == (1, ["a"], 1)
    books.leave("a")
    books.leave("a")
    assert (route.waiting, list(p.queue), len(books)) == (0, [], 0)


def test_a_full_queue_takes_nobody_more() -> None:
    it, books = play(queue_waiters=2), Waiting()
    route, p = it.route(), it.pool.providers["p"]
    assert [books.join(name, route, p) for name in "abc"] == [True, True, False]
    assert route.waiting == 2
    books.leave("a")
    assert books.join("c", route, p)
    assert list(p.queue) == ["b", "c"]


def test_who_finds_the_provider_s_queue_full_waits_nowhere() -> None:
    providers = [provider("p", max_in_flight=1, stability={"queue_waiters": 1}), provider("q")]
    it, books = Play(config(*providers, routes=[route("coder", "p/m", "q/m")])), Waiting()
    coder, p = it.route(), it.pool.providers["p"]
    assert books.join("a", coder, p)
    assert not books.join("b", coder, p)
    assert (coder.waiting, len(books)) == (1, 1)


def test_who_waits_for_something_else_gives_up_the_place_in_the_queue() -> None:
    it, books = play(), Waiting()
    route, p = it.route(), it.pool.providers["p"]
    books.join("a", route, p)
    books.join("b", route, p)
    books.join("a", route, None)
    assert (list(p.queue), route.waiting, books.woken()) == (["b"], 2, ["b"])


def test_room_wakes_the_first_and_news_wakes_all_each_once() -> None:
    it, books = play(), Waiting()
    route, p = it.route(), it.pool.providers["p"]
    for name in "abc":
        books.join(name, route, p)
    assert books.woken() == []
    books.room(p)
    books.room(p)
    assert (books.woken(), books.woken()) == (["a"], [])
    books.news()
    assert books.woken() == ["a", "b", "c"]


def test_who_leaves_the_queue_wakes_the_next_and_is_woken_no_more() -> None:
    it, books = play(), Waiting()
    route, p = it.route(), it.pool.providers["p"]
    for name in "ab":
        books.join(name, route, p)
    books.room(p)
    books.leave("a")
    assert books.woken() == ["b"]


# -- in traffic --------------------------------------------------------------------------------


def test_ten_at_once_on_a_cap_of_two_with_a_queue_of_two() -> None:
    crowd = Crowd(play(queue_waiters=2, wait_base_seconds=1.0))
    crowd.arrive(10)
    crowd.run(30.0)
    assert places(crowd) == [(0.0, "p")] * 2 + [(1.0, "q")] * 2 + [(0.0, "q")] * 6
    nothing_is_left(crowd)


def test_with_a_longer_queue_all_of_them_wait_and_none_is_refused() -> None:
    crowd = Crowd(play(wait_base_seconds=1.0))
    crowd.arrive(10)
    crowd.run(30.0)
    assert places(crowd) == [(0.0, "p")] * 2 + [(1.0, "q")] * 8
    nothing_is_left(crowd)


def test_who_came_first_gets_the_first_place_that_is_free() -> None:
    crowd = Crowd(play(others="", wait_base_seconds=10.0), stream_seconds=1.0)
    crowd.arrive(8)
    crowd.run(30.0)
    assert [guest.waited for guest in crowd.guests] == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert all(guest.where == "p/m main" for guest in crowd.guests)
    nothing_is_left(crowd)


def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    crowd = Crowd(play(cap=1, others="", wait_base_seconds=10.0), stream_seconds=2.0)
    crowd.arrive(3)
    # A place is free at 2 s; the newcomer arrives at the same moment.
    crowd.arrive(1, now=2.0)
    crowd.run(30.0)
    assert [guest.waited for guest in crowd.guests] == [0.0, 2.0, 4.0, 4.0]
    assert crowd.guests[3].sends[0][0] == 6.0


def test_the_caps_are_never_exceeded_while_people_come_and_go() -> None:
    for seed in range(10):
        rng = Random(seed)
        keys = (credential("a", max_in_flight=1), credential("b", max_in_flight=2))
        providers = [provider("p", *keys, max_in_flight=2), provider("q", max_in_flight=1)]
        it = Play(config(*providers, routes=[route("coder", "p/m", "q/m")]))
        crowd = Crowd(it, stream_seconds=1.5)
        for _ in range(150):
            crowd.run(crowd.now + rng.expovariate(2.0))
            crowd.arrive(rng.randrange(1, 4))
            if rng.random() < 0.3:
                crowd.leave(rng.choice(crowd.guests))
            busy = [key.in_flight for key in it.pool.providers["p"].credentials]
            assert sum(busy) == crowd.in_flight("p") <= 2
            assert crowd.in_flight("q") <= 1
            assert (busy[0] <= 1, busy[1] <= 2) == (True, True)
        crowd.run(crowd.now + 100.0)
        nothing_is_left(crowd)
        outcomes = Counter(bool(guest.where) for guest in crowd.guests)
        assert outcomes[True] > 50


def test_a_hundred_clients_that_leave_give_everything_back() -> None:
    crowd = Crowd(play(others=""))
    crowd.arrive(100)
    assert crowd.in_flight("p") == 2
    assert len(crowd.play.pool.waiting) == 64
    for guest in crowd.guests:
        crowd.leave(guest)
    nothing_is_left(crowd)
    crowd.arrive(1)
    assert crowd.guests[-1].where == "p/m main"


def test_a_client_that_leaves_the_queue_lets_the_next_one_in() -> None:
    crowd = Crowd(play(cap=1, others="", wait_base_seconds=10.0), stream_seconds=2.0)
    first, second, third = crowd.arrive(3)
    crowd.run(1.0)
    crowd.leave(second)
    crowd.run(2.0)
    assert (first.where, third.where, third.waited) == ("p/m main", "p/m main", 2.0)


@pytest.mark.parametrize("cap", [1, 3])
def test_a_full_key_is_waited_for_as_a_full_provider_is(cap: int) -> None:
    keys = provider("p", credential("a", max_in_flight=cap))
    it = Play(config(keys, routes=[route("coder", "p/m")], wait_base_seconds=9.0))
    crowd = Crowd(it, stream_seconds=1.0)
    crowd.arrive(2 * cap)
    crowd.run(20.0)
    assert [guest.waited for guest in crowd.guests] == [0.0] * cap + [1.0] * cap


def test_a_target_that_falls_ill_sends_its_queue_on() -> None:
    crowd = Crowd(
        play(wait_base_seconds=10.0, breaker_failures=1),
        fails=lambda send, now: bad("server_error") if send.provider.name == "p" else None,
    )
    crowd.arrive(6)
    crowd.run(30.0)
    assert {guest.where for guest in crowd.guests} == {"q/m main"}
    assert all(guest.sends[-1][0] < 0.5 for guest in crowd.guests)
    nothing_is_left(crowd)
