"""The truth about the weather: since when it has been as it is, and whether somebody was well."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from gateway.config import Weather
from gateway.dry_run.truth import Truth, foul_since, spells
from gateway.events import Failure
from gateway.routing.pool import Pool
from gateway.units import MICROS, Timestamp
from gateway.upstream.simulated import SimulatedUpstream
from tests.fakes import FakeClock
from tests.gateway.dry_run.building import script

FAIR, FOUL = Weather(for_seconds=10), Weather(for_seconds=5, failure=Failure.SERVER_ERROR)
WORSE = Weather(for_seconds=5, failure=Failure.OVERLOADED)
FOR_EVER = Weather()


def test_spells_follow_each_other_and_come_again() -> None:
    starts = [start for start, _ in islice(spells((FAIR, FOUL)), 5)]
    assert starts == [0, 10, 15, 25, 30]
    assert [start for start, _ in spells((FAIR, FOUL, FOR_EVER, FAIR))] == [0, 10, 15]
    assert list(spells(())) == []


@pytest.mark.parametrize(
    ("weather", "age", "expected"),
    [
        ((), 100.0, (False, 0.0)),
        ((FAIR, FOUL), 3.0, (False, 0.0)),
        ((FAIR, FOUL), 12.0, (True, 10.0)),
        ((FAIR, FOUL), 16.0, (False, 15.0)),
        ((FAIR, FOUL, WORSE), 18.0, (True, 10.0)),
        ((FOUL, FAIR, FOUL), 22.0, (True, 15.0)),
        ((FAIR, FOUL, FOR_EVER), 1e6, (False, 15.0)),
        ((FOUL,), 1e3, (True, 0.0)),
    ],
)
def test_the_weather_is_fair_or_foul_since_it_changed(
    weather: tuple[Weather, ...], age: float, expected: tuple[bool, float]
) -> None:
    assert foul_since(weather, age) == expected


async def test_a_target_was_well_only_if_it_was_so_all_the_time() -> None:
    made, clock = (
        script(("simulated: {answer_tokens: 2}", "simulated: {weather: [{failure: connect}]}")),
        FakeClock(),
    )
    began = clock.now()
    pool = Pool(made.config, rng=Random(1), now=began, speaks=lambda _provider, _client: True)
    upstream = SimulatedUpstream(clock=clock, rng=Random(1))
    truth = Truth(made.config, pool, upstream, began=began.timestamp)

    def well(age: float) -> bool:
        since = Timestamp(began.timestamp + round(age * MICROS))
        return truth.somebody_was_well("coder", since=since)

    assert truth.primary("coder") == "primary/large"
    assert truth.primary("direct") == ""
    await clock.advance(590)
    assert well(580)
    await clock.advance(20)
    assert not well(580), "the primary is down, and the backup always is"
    await clock.advance(300)
    assert not well(890), "it was still down when this one began"
    assert well(905)
    assert not truth.somebody_was_well("nobody", since=began.timestamp)
    sky = truth.sky("primary/large", at=clock.now().timestamp)
    assert (sky.foul, sky.changes) == (False, True)
