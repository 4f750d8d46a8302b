"""How many repetitions a minute allows, and that nothing else is closed by it."""

from __future__ import annotations

from gateway.config import Stability
from gateway.routing.retry_budget import BUCKET_SECONDS, WINDOW_SECONDS, RetryBudget
from tests.gateway.routing.building import Play, at, bad, config, provider, route

USUAL = Stability()


def ask(of: RetryBudget, count: int, *, now: float = 0.0) -> None:
    for _ in range(count):
        of.request(at(now).instant)


def granted(of: RetryBudget, wanted: int, *, now: float = 0.0) -> int:
    return sum(of.retry(USUAL, at(now).instant) for _ in range(wanted))


def test_a_quiet_gateway_may_repeat_ten_a_minute() -> None:
    it = RetryBudget()
    ask(it, 1)
    assert granted(it, 50) == 10


def test_a_busy_one_may_repeat_a_fifth_of_its_requests() -> None:
    it = RetryBudget()
    ask(it, 1000)
    assert granted(it, 500) == 200


def test_what_is_a_minute_old_counts_no_more() -> None:
    it = RetryBudget()
    ask(it, 1000)
    assert granted(it, 100) == 100
    assert granted(it, 200, now=WINDOW_SECONDS - 1.0) == 100
    # The requests are gone, and the retries made with them.
    assert granted(it, 200, now=WINDOW_SECONDS + BUCKET_SECONDS + 60.0) == 10


def test_its_memory_is_bounded() -> None:
    it = RetryBudget()
    for second in range(10_000):
        it.request(at(second * 0.5).instant)
    assert len(it._buckets) <= WINDOW_SECONDS / BUCKET_SECONDS + 1


def test_a_storm_is_repeated_by_a_fifth_and_not_doubled() -> None:
    it = Play(
        config(
            provider("p"),
            routes=[route("coder", "p/m")],
            breaker_failures=9999,
            breaker_min_outcomes=9999,
        )
    )
    tried = sum(len(it.ask({"p": [bad("overloaded")]}, now=n * 0.05).tried) for n in range(1000))
    assert 1000 < tried <= 1205


def test_the_way_to_another_key_or_target_is_never_closed() -> None:
    settings = config(
        provider("p", "a", "b"),
        provider("q"),
        routes=[route("coder", "p/m", "q/m"), route("alone", "p/n")],
        retry_budget_ratio=0.0,
        retry_budget_floor_per_minute=0,
        breaker_failures=99,
    )
    told = Play(settings).ask({"p": bad("overloaded")})
    assert told.tried == ["p/m a", "p/m b", "q/m main"]
    told = Play(settings).ask({"p": [bad("rate_limited")], "q": bad("overloaded")})
    assert told.tried == ["p/m a", "p/m b"]
    told = Play(settings).ask({"p": bad("bad_success")}, name="alone")
    assert told.tried == ["p/n a", "p/n b"]


def test_without_a_token_the_same_candidate_is_not_asked_again() -> None:
    settings = config(
        provider("p"), routes=[route("coder", "p/m")], retry_budget_floor_per_minute=1
    )
    it = Play(settings)
    assert it.ask({"p": [bad("overloaded")]}).tried == ["p/m main"] * 2
    told = it.ask({"p": [bad("overloaded")]}, now=1.0)
    assert told.tried == ["p/m main"]
    assert told.waits == []
