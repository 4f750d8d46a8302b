from __future__ import annotations

from gateway.events import (
    CooldownEnded,
    CooldownStarted,
    FlappingEnded,
    FlappingStarted,
    OperatorActed,
    Switched,
)
from gateway.units import Timestamp
from storage.queries import Queries
from storage.writer import Writer
from tests.storage.samples import NOON, batch, example

SECOND = 1_000_000
DAY = 86_400 * SECOND


async def test_open_cooldowns_are_those_that_neither_ended_nor_ran_out(
    writer: Writer, queries: Queries
) -> None:
    def started(name: str, until: int) -> CooldownStarted:
        return example(CooldownStarted, cooldown_id=name, until=until)

    await writer.take(
        batch(
            started("long", NOON + 9 * SECOND),
            started("short", NOON + SECOND),
            started("ended", NOON + 9 * SECOND),
            started("over", NOON),
            example(CooldownEnded, cooldown_id="ended"),
        )
    )
    found = (await queries.restore(Timestamp(NOON)))["cooldowns"]
    assert [item["cooldown_id"] for item in found] == ["short", "long"]


async def test_a_restart_finds_open_cooldowns_and_switches_of_the_day_or_the_last_ones(
    writer: Writer, queries: Queries
) -> None:
    days_ago, today = NOON - 9 * DAY, NOON - SECOND

    def switched(route: str, origin: str, to: str, ts: int) -> Switched:
        return example(Switched, route=route, from_target=origin, to_target=to, ts=ts)

    await writer.take(
        batch(
            switched("coder", "a/x", "b/y", days_ago - 2),
            switched("coder", "a/x", "c/z", days_ago - 1),
            switched("writer", "a/x", "b/y", days_ago),
            switched("coder", "c/z", "a/x", today),
            switched("coder", "a/x", "c/z", today),
            switched("coder", "c/z", "a/x", today),
            example(CooldownStarted, until=NOON + SECOND),
        )
    )
    found = await queries.restore(Timestamp(NOON))
    assert [(row["route"], row["from"], row["to"]) for row in found["switches"]] == [
        ("writer", "a/x", "b/y"),
        ("coder", "c/z", "a/x"),
        ("coder", "a/x", "c/z"),
        ("coder", "c/z", "a/x"),
    ]
    assert [row["cooldown_id"] for row in found["cooldowns"]] == ["some cooldown_id"]


async def test_a_restart_finds_what_still_flaps_and_what_operators_did(
    writer: Writer, queries: Queries
) -> None:
    def flaps(target: str) -> FlappingStarted:
        return example(FlappingStarted, route="coder", target=target, penalty=3000.0)

    await writer.take(
        batch(
            flaps("a/x"),
            flaps("b/y"),
            example(FlappingEnded, route="coder", target="a/x"),
            example(OperatorActed, action="drain", target="a/x", until=None),
            example(OperatorActed, action="enable", target="a/x", until=NOON),
        )
    )
    found = await queries.restore(Timestamp(NOON))
    assert [(row["target"], row["penalty"]) for row in found["flapping"]] == [("b/y", 3000.0)]
    acts = [(row["action"], row["target"], row.get("until")) for row in found["acts"]]
    assert acts == [("drain", "a/x", None), ("enable", "a/x", NOON)]
