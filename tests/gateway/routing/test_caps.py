"""What failures use up. What a whole request makes of it is in test_call_bounds."""

from __future__ import annotations

from gateway.events import Failure
from gateway.routing.caps import Caps
from gateway.routing.choosing import Wanted
from gateway.routing.state import Candidate
from tests.gateway.routing.building import Play, config, provider, route


def caps_of() -> tuple[Play, Wanted, Caps]:
    it = Play(
        config(
            provider("p", "a", "b"),
            provider("q"),
            routes=[route("coder", "p/m", "q/m")],
            max_attempts=3,
            max_attempts_per_provider=2,
        )
    )
    wanted = Wanted("openai")
    return it, wanted, Caps(it.route(), wanted)


def candidate(of: Play, index: int = 0) -> Candidate:
    hop = of.hop(index)
    return Candidate(hop, hop.target.provider.credentials[0])


def test_a_failure_of_the_target_gives_it_up_one_of_a_key_does_not() -> None:
    it, wanted, caps = caps_of()
    caps.spend(candidate(it), Failure.RATE_LIMITED, second=False)
    assert (wanted.given_up, wanted.spent) == (set(), set())
    caps.spend(candidate(it), Failure.FIRST_CONTENT_TIMEOUT, second=False)
    assert wanted.given_up == {"p/m"}


def test_limited_keys_count_only_the_second_time() -> None:
    it, wanted, caps = caps_of()
    for _ in range(5):
        caps.spend(candidate(it), Failure.RATE_LIMITED, second=False)
    assert caps.allow_another()
    assert not wanted.spent
    for _ in range(2):
        caps.spend(candidate(it), Failure.RATE_LIMITED, second=True)
    assert wanted.spent == {"p"}
    assert not caps.allow_another()


def test_the_cap_of_all_attempts_spends_every_provider() -> None:
    it, wanted, caps = caps_of()
    caps.spend(candidate(it, 1), Failure.SERVER_ERROR, second=False)
    caps.spend(candidate(it, 0), Failure.SERVER_ERROR, second=False)
    assert not wanted.spent
    caps.spend(candidate(it, 0), Failure.SERVER_ERROR, second=False)
    assert wanted.spent == {"p", "q"}
