"""A target's health: outcomes in, whether it opens out."""

from __future__ import annotations

from gateway.config import Stability
from gateway.routing.breaker import BUCKETS, Breaker
from gateway.units import Instant

STABILITY = Stability()


def bad(breaker: Breaker, now: float, *, credential: str = "a", credentials: int = 1) -> bool:
    return breaker.bad(
        credential=credential, credentials=credentials, stability=STABILITY, now=Instant(now)
    )


def good(breaker: Breaker, now: float) -> None:
    breaker.good(stability=STABILITY, now=Instant(now))


def test_three_failures_in_a_row_open() -> None:
    breaker = Breaker()
    assert [bad(breaker, now) for now in (0, 500, 1000)] == [False, False, True]


def test_a_success_breaks_the_run() -> None:
    breaker = Breaker()
    bad(breaker, 0)
    bad(breaker, 500)
    good(breaker, 1000)
    assert not bad(breaker, 1500)


def test_a_run_on_one_of_two_credentials_does_not_open() -> None:
    breaker = Breaker()
    assert not any(bad(breaker, now, credentials=2) for now in (0, 500, 1000, 1500))
    assert bad(breaker, 2000, credential="b", credentials=2)


def test_alternating_outcomes_open_by_the_window_though_no_run_ever_does() -> None:
    breaker = Breaker()
    opened = []
    for n in range(6):
        if n % 2:
            opened.append(bad(breaker, n * 5.0))
        else:
            good(breaker, n * 5.0)
    assert opened == [False, False, True]


def test_fewer_failures_than_the_ratio_do_not_open() -> None:
    breaker = Breaker()
    for n in range(30):
        now = n * 3.0
        if n % 3 == 2:
            assert not bad(breaker, now)
        else:
            good(breaker, now)


def test_outcomes_older_than_the_window_do_not_count() -> None:
    breaker = Breaker()
    for n in range(5):
        good(breaker, float(n))
    assert breaker.window(stability=STABILITY, now=Instant(100.0)) == (5, 0)
    assert breaker.window(stability=STABILITY, now=Instant(121.0)) == (0, 0)


def test_memory_is_bounded_by_the_buckets() -> None:
    breaker = Breaker()
    for n in range(10_000):
        good(breaker, n * 1.0)
    outcomes, _ = breaker.window(stability=STABILITY, now=Instant(10_000.0))
    width = STABILITY.breaker_window_seconds / BUCKETS
    longest = STABILITY.breaker_window_seconds + width
    assert STABILITY.breaker_window_seconds - width <= outcomes <= longest


def test_opening_forgets_what_led_to_it() -> None:
    breaker = Breaker()
    for now in (0, 1, 2):
        bad(breaker, now)
    breaker.reset()
    assert breaker.window(stability=STABILITY, now=Instant(2.0)) == (0, 0)
    assert not bad(breaker, 3)
