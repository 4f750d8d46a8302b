from __future__ import annotations

from gateway.replay.chance import Chance
from gateway.replay.recorded import Draw
from gateway.units import Instant, Moment
from tests.gateway.replay.building import SINCE

NOW = Moment(Instant(0.0), SINCE)


def chance(*draws: tuple[int, float], seed: int = 1) -> Chance:
    made = [Draw(NOW.later(micros / 1e6).timestamp, seconds) for micros, seconds in draws]
    return Chance(made, now=lambda: NOW, seed=seed)


def test_a_recorded_length_is_given_again_once() -> None:
    drawn = chance((0, 33.0))
    assert drawn.uniform(30.0, 36.0) == 33.0
    assert drawn.uniform(30.0, 36.0) != 33.0
    assert drawn.guessed == 1


def test_the_nearest_that_fits_is_taken() -> None:
    drawn = chance((-200_000, 31.0), (-1_000, 300.0), (2_000, 33.0))
    assert drawn.uniform(30.0, 36.0) == 33.0


def test_what_lies_outside_the_bounds_or_too_far_away_is_no_answer() -> None:
    drawn = chance((0, 99.0), (400_000, 33.0))
    assert 30.0 <= drawn.uniform(30.0, 36.0) <= 36.0
    assert drawn.guessed == 1


def test_without_a_record_the_seed_decides() -> None:
    assert chance(seed=3).uniform(0.0, 1.0) == chance(seed=3).uniform(0.0, 1.0)
    assert chance(seed=3).random() != chance(seed=4).random()


def test_what_is_known_of_a_request_decides_its_lots() -> None:
    drawn = chance()
    drawn.about(at_active=True)
    assert drawn.random() == 0.0
    drawn.about(at_active=False)
    assert 0.99 < drawn.random() < 1.0


def test_the_key_that_was_taken_is_taken_again() -> None:
    class Key:
        def __init__(self, name: str) -> None:
            self.name = name

    keys = [Key(name) for name in "abc"]
    drawn = chance()
    drawn.about(credential="c")
    assert drawn.choices(keys, [1.0, 1.0, 0.0]) == [keys[2]]
    drawn.about(credential="z")
    assert drawn.choices(keys, [1.0, 0.0, 0.0]) == [keys[0]]


def test_lots_of_other_requests_are_not_seen_by_a_length() -> None:
    drawn = chance(seed=5)
    drawn.about(at_active=True)
    assert drawn.uniform(1.0, 2.0) != 1.0
