from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import update

from gateway.events import (
    AttemptFinished,
    CandidateSkipped,
    CooldownExtended,
    CooldownStarted,
    DataGap,
    RequestFinished,
    Switched,
)
from storage.database import Database
from storage.filters import Filters, Order, QueryError
from storage.models import STREAM, TABLES, StorageError
from storage.queries import TAIL_IDS, Queries, QueryTimeout
from storage.writer import Writer
from tests.storage.samples import ALL_KINDS, NOON, batch, example, kinds, walk
from tests.storage.servers import execute

SECOND = 1_000_000
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("table", TABLES)
async def test_pages_of_any_size_hold_everything_once(
    writer: Writer, queries: Queries, table: str, order: Order
) -> None:
    for turn in range(3):
        await writer.take(
            batch(
                *(example(kind, ts=NOON + turn) for kind in ALL_KINDS),
                example(CooldownStarted, cooldown_id=f"c{turn}"),
                boot_id=f"boot {turn}",
            )
        )
    whole = await walk(queries, table, order=order)
    ids = [item["id"] for item in whole]
    assert ids == sorted(ids, reverse=order == "desc")
    assert (
        len(ids)
        == len(set(ids))
        == {"events": 3 * len(ALL_KINDS) + 3, "attempts": 6, "cooldowns": 4}.get(table, 3)
    )
    for limit in (1, 2, 7, 57):
        assert await walk(queries, table, limit=limit, order=order) == whole


async def test_pages_skip_and_repeat_nothing_while_rows_come(
    writer: Writer, queries: Queries
) -> None:
    rng = random.Random(1)
    done = asyncio.Event()

    async def write() -> None:
        for turn in range(60):
            events = [example(rng.choice(ALL_KINDS)) for _ in range(rng.randint(1, 9))]
            await writer.take(batch(*events, boot_id=f"boot {turn}"))
        done.set()

    async def follow() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        last = 0
        while True:
            over = done.is_set()
            items = await queries.events_after(last, 5)
            found += items
            if items:
                last = items[-1]["id"]
            elif over:
                return found

    async def leaf_through() -> list[dict[str, Any]]:
        await asyncio.sleep(0)
        return await walk(queries, "events", limit=3)

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        followed = group.create_task(follow())
        leafed = [group.create_task(leaf_through()) for _ in range(3)]
    whole = await walk(queries, "events")
    assert followed.result() == whole
    for task in leafed:
        assert task.result() == whole[: len(task.result())]


async def test_a_window_begins_at_since_and_ends_before_until(
    writer: Writer, queries: Queries
) -> None:
    events = [example(AttemptFinished, ts=NOON + number) for number in range(10)]
    random.Random(2).shuffle(events)
    await writer.take(batch(*events))
    filters: Filters = {"since": NOON + 3, "until": str(NOON + 7)}
    for order in ("asc", "desc"):
        for limit in (1, 2, 100):
            found = await walk(queries, "events", filters=filters, limit=limit, order=order)
            assert sorted(item["ts"] - NOON for item in found) == [3, 4, 5, 6]
            ids = [item["id"] for item in found]
            assert ids == sorted(ids, reverse=order == "desc")
    assert await walk(queries, "events", filters={"since": NOON + 10}) == []
    assert await walk(queries, "attempts", filters={"until": NOON}) == []


async def test_a_window_that_is_over_is_shown_as_it_was_at_its_first_page(
    writer: Writer, queries: Queries
) -> None:
    early = [example(Switched, ts=NOON + number) for number in range(4)]
    await writer.take(batch(*early, example(Switched, ts=NOON + 50)))
    filters: Filters = {"until": NOON + 10}
    first = await queries.page("switches", filters=filters, limit=2)
    # A journal is replayed: late rows of that time.
    await writer.take(batch(*early, boot_id="late"))
    second = await queries.page("switches", filters=filters, limit=2, cursor=first["next_cursor"])
    assert [item["id"] for item in (*first["items"], *second["items"])] == [1, 2, 3, 4]
    assert second["next_cursor"] is None
    assert len(await walk(queries, "switches", filters=filters)) == 8


async def test_a_cursor_is_bound_to_its_query(writer: Writer, queries: Queries) -> None:
    await writer.take(batch(*(example(Switched) for _ in range(3))))
    filters: Filters = {"route": "some route"}
    cursor = (await queries.page("events", filters=filters, limit=1))["next_cursor"]
    assert cursor is not None
    again = await queries.page("events", filters=filters, limit=2, cursor=cursor)
    assert [item["id"] for item in again["items"]] == [2, 3]
    for table, other, order in (
        ("switches", filters, "asc"),
        ("events", {"route": "other"}, "asc"),
        ("events", {}, "asc"),
        ("events", filters, "desc"),
    ):
        with pytest.raises(QueryError, match="another query"):
            await queries.page(table, filters=other, order=order, cursor=cursor)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="not a cursor"):
        await queries.page("events", cursor="17")


async def test_a_requests_story_has_its_candidates_in_order(
    writer: Writer, queries: Queries
) -> None:
    failed = example(AttemptFinished, request_id="r1", attempt_id="r1.2", n=2)
    cooldown = example(
        CooldownStarted, cooldown_id="c1", request_id="r1", trigger_attempt_id="r1.2"
    )
    prolonged = example(
        CooldownExtended, cooldown_id="c0", request_id="r1", trigger_attempt_id="r1.2"
    )
    skipped = example(CandidateSkipped, request_id="r1", n=1)
    served = example(AttemptFinished, request_id="r1", attempt_id="r1.3", n=3)
    other = example(AttemptFinished, request_id="r2")
    await writer.take(batch(served, other, failed, cooldown, prolonged, skipped))

    running = await queries.request("r1")
    assert running is not None
    assert running["request"] is None

    await writer.take(batch(example(RequestFinished, request_id="r1"), boot_id="later"))
    story = await queries.request("r1")
    assert story is not None
    assert story["request"] is not None
    assert story["request"]["request_id"] == "r1"
    told = [(item["n"], item["kind"], item["cooldowns"]) for item in story["candidates"]]
    assert told == [
        (1, "candidate_skipped", []),
        (2, "attempt_finished", ["c1", "c0"]),
        (3, "attempt_finished", []),
    ]
    assert await queries.request("r3") is None


async def test_a_tail_begins_where_it_is_told(writer: Writer, queries: Queries) -> None:
    assert await queries.last_id() == 0
    await writer.take(batch(example(Switched)))
    here = await queries.last_id()
    nothing = {"items": [], "last_id": here, "behind": False}
    assert await queries.tail(here) == nothing
    await writer.take(batch(example(DataGap), example(RequestFinished), boot_id="later"))
    whole = await queries.tail(here)
    assert kinds(whole["items"]) == ["data_gap", "request_finished"]
    assert whole["items"] == await queries.events_after(here)
    assert (whole["last_id"], whole["behind"]) == (3, False)
    one = await queries.tail(here, limit=1)
    assert kinds(one["items"]) == ["data_gap"]
    assert (one["last_id"], one["behind"]) == (2, True)
    # An id of the future, as of another database: nothing, until it is reached.
    assert await queries.tail(99) == {"items": [], "last_id": 99, "behind": False}


TAILED: list[Filters] = [
    {"kind": "switched,request_finished"},
    {"route": "coder"},
    {"provider": "a"},
    {"target": "a/x"},
    {"outcome": "ok"},
    {"failure": "overloaded"},
    {"request_id": "r1"},
    {"kind": "switched", "route": "writer"},
    {"since": NOON + 7, "until": NOON + 23},
    {"session": "nobody's"},
]


@pytest.mark.parametrize("filters", TAILED, ids=lambda each: "-".join(each))
async def test_a_filtered_tail_is_a_filtered_page_step_by_step(
    writer: Writer, queries: Queries, filters: Filters
) -> None:
    rng = random.Random(7)

    def some(turn: int) -> Any:
        kind: type[Any] = rng.choice(
            (Switched, RequestFinished, AttemptFinished, CooldownStarted, DataGap)
        )
        values = {
            "route": rng.choice(("coder", "writer")),
            "provider": rng.choice("ab"),
            "model": rng.choice("xy"),
            "from_target": rng.choice(("a/x", "b/y")),
            "outcome": rng.choice(("ok", "failed")),
            "failure": rng.choice((None, "overloaded")),
            "request_id": rng.choice(("r1", "r2")),
            "cooldown_id": f"c{turn}",
        }
        known = set(kind.__struct_fields__)
        fitting = {name: value for name, value in values.items() if name in known}
        return example(kind, ts=NOON + turn, **fitting)

    await writer.take(batch(*(some(turn) for turn in range(40))))
    whole = await walk(queries, "events", filters=filters)
    for limit in (1, 3, 100):
        found, last, behind = [], 0, True
        while behind:
            step = await queries.tail(last, filters=filters, limit=limit)
            assert step["last_id"] > last
            found += step["items"]
            last, behind = step["last_id"], step["behind"]
        assert found == whole
        assert last == 40
        assert await queries.tail(last, filters=filters) == {
            "items": [],
            "last_id": 40,
            "behind": False,
        }


async def test_a_step_of_a_tail_looks_at_so_many_rows_and_no_more(
    database: Database, writer: Writer, queries: Queries
) -> None:
    await writer.take(batch(example(Switched, route="coder"), example(DataGap)))
    # As after a year of deleting: the next row has a far higher id.
    assert database.writer is not None
    async with database.writer.begin() as connection:
        await connection.execute(update(TABLES["events"]).values(id=2 * TAIL_IDS + 5))
    first = await queries.tail(0, filters={"kind": "data_gap"})
    assert first == {"items": [], "last_id": TAIL_IDS, "behind": True}
    second = await queries.tail(TAIL_IDS, filters={"kind": "data_gap"})
    assert second == {"items": [], "last_id": 2 * TAIL_IDS, "behind": True}
    third = await queries.tail(2 * TAIL_IDS, filters={"kind": "data_gap"})
    assert kinds(third["items"]) == ["data_gap"]
    assert (third["last_id"], third["behind"]) == (2 * TAIL_IDS + 5, False)


async def test_a_tail_with_a_filter_that_is_none_is_refused(queries: Queries) -> None:
    for filters in ({"kin": "switched"}, {"kind": "moved"}, {"since": "noon"}):
        with pytest.raises(QueryError):
            await queries.tail(0, filters=filters)


async def test_switches_are_counted_by_pair_and_bucket(writer: Writer, queries: Queries) -> None:
    start = NOON - NOON % (60 * SECOND)

    def switched(second: int, to: str, *, reversal: bool = False) -> Switched:
        return example(
            Switched,
            ts=start + second * SECOND,
            from_target="a/x",
            to_target=to,
            reversal=reversal,
        )

    await writer.take(
        batch(
            switched(0, "b/y"),
            switched(59, "b/y", reversal=True),
            switched(59, "c/z"),
            switched(60, "b/y"),
        )
    )
    found = await queries.switch_pairs(bucket_seconds=60)
    assert found == [
        {"ts": start, "from": "a/x", "to": "b/y", "switches": 2, "reversals": 1},
        {"ts": start, "from": "a/x", "to": "c/z", "switches": 1, "reversals": 0},
        {"ts": start + 60 * SECOND, "from": "a/x", "to": "b/y", "switches": 1, "reversals": 0},
    ]
    later = await queries.switch_pairs(filters={"since": start + 60 * SECOND}, bucket_seconds=60)
    assert [row["switches"] for row in later] == [1]
    assert await queries.switch_pairs(filters={"outcome": "ok"}, bucket_seconds=60) == []
    with pytest.raises(QueryError, match="bucket_seconds"):
        await queries.switch_pairs(bucket_seconds=0)


async def test_a_query_that_takes_too_long_is_stopped(database: Database, writer: Writer) -> None:
    queries = Queries(database.reader, timeout_seconds=0.01)
    with pytest.raises(QueryTimeout, match=r"more than 0.01 s"):
        async with queries._snapshot() as connection:
            await connection.exec_driver_sql(ENDLESS)
    await writer.take(batch(example(Switched)))
    assert await Queries(database.reader).last_id() == 1


async def test_a_query_whose_asker_went_away_is_stopped(
    database: Database, queries: Queries
) -> None:
    async def ask() -> None:
        async with queries._snapshot() as connection:
            await connection.exec_driver_sql(ENDLESS)

    for _ in range(6):  # more than there are connections
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(), 0.02)
    assert await queries.last_id() == 0


async def test_a_broken_file_is_the_stores_fault(database: Database, queries: Queries) -> None:
    await execute(database, "DROP TABLE switches")
    missing = r'no such table: switches|relation "switches" does not exist'
    with pytest.raises(StorageError, match=rf"could not read .*({missing})"):
        await queries.page("switches")


@pytest.mark.parametrize("filters", [{"since": 10**30}, {"route": "\ud800"}, {"until": -(10**30)}])
async def test_values_that_no_store_could_hold_are_the_askers_fault(
    queries: Queries, filters: Filters
) -> None:
    with pytest.raises(QueryError):
        await queries.page("events", filters=filters)


async def test_every_item_has_the_common_fields(writer: Writer, queries: Queries) -> None:
    await writer.take(batch(*(example(kind) for kind in ALL_KINDS)))
    for table in (*STREAM, "cooldowns"):
        for item in (await queries.page(table))["items"]:
            assert {"id", "ts", "seq", "boot_id", "kind", "config_version"} <= set(item)
