"""Changes that must change no decision: slower time, damping looked at only, a set clock, a file in
another order."""

from __future__ import annotations

from dataclasses import fields, replace
from random import Random
from typing import Any

from gateway.config import Config, Damping, Provider, Stability, Timeouts
from gateway.events import Failure
from tests.simulation.decisions import Decision, decisions, first_difference
from tests.simulation.schedules import Play, Schedule, schedule

SEEDS = range(25)
FACTOR = 4.0
"""A power of two: products with it are exact."""


class Low(Random):
    """Draws the low end of everything, so that nothing hangs on the size of a draw."""

    def random(self) -> float:
        return 0.0

    def uniform(self, a: float, b: float) -> float:
        return a


def run(mine: Schedule, *, low: bool = False) -> list[Decision]:
    play = Play(mine, watch=False, core_rng=Low(mine.seed) if low else None)
    play.world.at(0.0, play.next_request)
    play.world.run()
    return decisions(play.world.events)


def calm(mine: Schedule) -> Schedule:
    """Without what cannot be scaled or compared."""
    return replace(mine, jumps=False, restarts=False, operator=False)


# -- time ----------------------------------------------------------------------------------------


def test_the_clock_on_the_wall_is_no_fact_of_any_decision() -> None:
    for seed in SEEDS:
        mine = replace(schedule(seed), restarts=False)
        difference = first_difference(run(replace(mine, jumps=False)), run(mine))
        assert not difference, f"seed {seed}: {difference}"


UNSCALED: dict[str, Any] = {
    # Left out, because their seconds are constants of the code and no parameters: the pause before
    # the same candidate is asked again, the ramp's minute, the guard's longest stated rest, a waiter's look at a probe each second.
    "retry_budget_ratio": 0.0,
    "retry_budget_floor_per_minute": 0,
    "ramp_step_seconds": 1e-9,
    "guard_credentials": 10**9,
    "wait_max_seconds": 0.0,
}


def scaled_stability(stability: Stability, factor: float) -> Stability:
    return replace(
        stability,
        **{
            each.name: getattr(stability, each.name) * factor
            for each in fields(stability)
            if each.name.endswith("_seconds")
        },
    )


def scaled_provider(provider: Provider, factor: float) -> Provider:
    own = provider.timeouts
    seconds = {each.name: getattr(own, each.name) * factor for each in fields(own)}
    return replace(provider, timeouts=Timeouts(**seconds))


def scaled(mine: Schedule, factor: float) -> Schedule:
    """All that takes time takes `factor` times as long."""
    config = replace(
        mine.config,
        stability=scaled_stability(mine.config.stability, factor),
        providers={
            name: scaled_provider(each, factor) for name, each in mine.config.providers.items()
        },
    )
    skies = {name: sky.scaled(factor) for name, sky in mine.skies.items()}
    return replace(mine, config=config, skies=skies, pace=factor)


def comparable(mine: Schedule) -> Schedule:
    """Streams only, and no failure whose rest is a constant."""
    odd = {Failure.CONNECT, Failure.MODEL_NOT_FOUND, Failure.UNSUPPORTED}
    skies = {
        name: replace(
            sky,
            spells=tuple(
                replace(each, failure=Failure.OVERLOADED) if each.failure in odd else each
                for each in sky.spells
            ),
        )
        for name, sky in mine.skies.items()
    }
    stability = replace(mine.config.stability, **UNSCALED)
    return replace(
        calm(mine),
        config=replace(mine.config, stability=stability),
        skies=skies,
        clients=replace(mine.clients, stream_share=1.0),
    )


def test_all_times_four_times_as_long_change_no_decision() -> None:
    for seed in SEEDS:
        mine = comparable(schedule(seed))
        one, other = run(mine, low=True), run(scaled(mine, FACTOR), low=True)
        difference = first_difference(one, other)
        assert not difference, f"seed {seed}: {difference}"


# -- damping -------------------------------------------------------------------------------------


def damped(mine: Schedule, damping: Damping) -> Schedule:
    stability = replace(mine.config.stability, damping=damping)
    return replace(mine, config=replace(mine.config, stability=stability))


def without_flapping(found: list[Decision]) -> list[Decision]:
    return [each for each in found if each[0] not in {"flapping_started", "flapping_ended"}]


def test_damping_that_only_observes_decides_as_if_it_were_off() -> None:
    seen = 0
    for seed in SEEDS:
        mine = calm(schedule(seed))
        mine = replace(mine, requests=150)
        observed = run(damped(mine, Damping.OBSERVE))
        off = run(damped(mine, Damping.OFF))
        difference = first_difference(without_flapping(observed), off)
        assert not difference, f"seed {seed}: {difference}"
        seen += len(observed) - len(off)
    assert seen, "no route has ever flapped"


def test_damping_that_is_obeyed_decides_otherwise_where_a_route_flaps() -> None:
    def differs(seed: int) -> bool:
        mine = replace(calm(schedule(seed)), requests=150)
        enforced = run(damped(mine, Damping.ENFORCE))
        return enforced != run(damped(mine, Damping.OBSERVE))

    assert any(differs(seed) for seed in SEEDS)


# -- the file ------------------------------------------------------------------------------------


def test_the_order_of_the_providers_in_the_file_is_no_fact() -> None:
    for seed in SEEDS:
        mine = schedule(seed)
        turned: Config = replace(
            mine.config, providers=dict(reversed(list(mine.config.providers.items())))
        )
        mine = calm(mine)
        difference = first_difference(run(mine), run(replace(mine, config=turned)))
        assert not difference, f"seed {seed}: {difference}"


def test_the_order_of_a_routes_targets_is_one() -> None:
    def differs(seed: int) -> bool:
        mine = calm(schedule(seed))
        routes = tuple(
            replace(each, targets=tuple(reversed(each.targets))) for each in mine.config.routes
        )
        turned = replace(mine, config=replace(mine.config, routes=routes))
        return run(mine) != run(turned)

    assert any(differs(seed) for seed in SEEDS)
