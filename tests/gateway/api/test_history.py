from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.api import history
from tests.fakes import FakeClock
from tests.gateway.api.serving import Api, FakeHistory, api

EVENTS: list[dict[str, Any]] = [
    {"id": 1, "kind": "switched", "route": "coder"},
    {"id": 2, "kind": "request_finished", "route": "coder"},
    {"id": 4, "kind": "request_finished", "route": "writer"},
    {"id": 5, "kind": "cooldown_started", "route": None},
    {"id": 9, "kind": "switched", "route": "writer"},
]


async def test_a_page_passes_filters_on_and_keeps_its_own_parameters() -> None:
    async with api() as a:
        a.history.tables["events"] = list(EVENTS)
        query = "route=coder&kind=switched&limit=7&order=asc&cursor=1"
        status, page = await a.get(f"/api/v1/events?{query}")
        assert status == 200
        assert page == {"items": EVENTS[1:3], "next_cursor": "3"}
        assert a.history.asked == [
            {
                "table": "events",
                "filters": {"route": "coder", "kind": "switched"},
                "limit": 7,
            }
        ]
        _, newest = await a.get("/api/v1/events")
        assert newest["items"][0]["id"] == 9
        assert a.history.asked[-1]["limit"] == history.LIMIT_DEFAULT


@pytest.mark.parametrize("table", ["events", "requests", "attempts", "switches", "cooldowns"])
async def test_every_table_has_its_path_and_its_export(table: str) -> None:
    async with api() as a:
        a.history.tables[table] = [{"id": n} for n in range(5)]
        headers = {"accept": "application/x-ndjson"}
        async with a.http.get(f"{a.url}/api/v1/{table}?order=asc", headers=headers) as response:
            assert response.headers["content-type"] == "application/x-ndjson"
            lines = (await response.read()).splitlines()
        assert [json.loads(line)["id"] for line in lines] == list(range(5))
        assert {each["table"] for each in a.history.asked} == {table}
        assert len(a.history.asked) == 3


async def test_an_export_that_cannot_be_is_still_an_error() -> None:
    async with api() as a:
        status, body = await a.get("/api/v1/events?kin=x", accept="application/x-ndjson")
        assert (status, body["error"]["code"]) == (400, "invalid_query")


async def test_a_story_is_found_by_its_id_or_404() -> None:
    async with api() as a:
        a.history.tables["requests"] = [{"request_id": "r1"}]
        assert (await a.get("/api/v1/requests/r1"))[1]["request"] == {"request_id": "r1"}
        status, body = await a.get("/api/v1/requests/r2")
        assert (status, body["error"]["code"]) == (404, "unknown_request")


async def test_pairs_are_counted_in_buckets() -> None:
    async with api() as a:
        _, found = await a.get("/api/v1/switches/aggregate?by=pair&bucket_seconds=60&route=coder")
        assert found["items"] == [{"from": "a", "to": "b", "bucket_seconds": 60, "route": "coder"}]
        assert (await a.get("/api/v1/switches/aggregate?by=moon"))[0] == 400
        assert (await a.get("/api/v1/switches/aggregate?bucket_seconds=x"))[0] == 400


async def followed(a: Api, count: int, query: str = "", **headers: str) -> list[int]:
    """Ids of the next so many messages of a tail."""
    named = {"accept": "text/event-stream"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    ids: list[int] = []
    async with (
        asyncio.timeout(5),
        a.http.get(f"{a.url}/api/v1/events{query}", headers=named) as response,
    ):
        while len(ids) < count:
            line = await response.content.readline()
            if line.startswith(b"id: "):
                ids.append(int(line[4:]))
            elif line.startswith(b": following"):
                a.history.tables.setdefault("events", []).append({"id": 10, "kind": "late"})
    return ids


async def test_a_tail_resumes_behind_the_last_id_it_is_told() -> None:
    async with api() as a:
        a.history.tables["events"] = list(EVENTS)
        assert await followed(a, 4, last_event_id="2") == [4, 5, 9, 10]


async def test_a_tail_without_an_id_begins_now() -> None:
    async with api() as a:
        a.history.tables["events"] = list(EVENTS)
        assert await followed(a, 1) == [10]


async def test_a_tail_keeps_to_its_filters() -> None:
    async with api() as a:
        a.history.tables["events"] = list(EVENTS)
        query = "?kind=switched,late&limit=1&order=desc"
        assert await followed(a, 3, query, last_event_id="0") == [1, 9, 10]
        # It is the store that filters, and each step begins where the one before it has looked.
        filters = {"kind": "switched,late"}
        assert {tuple(each["filters"].items()) for each in a.history.asked} == {
            tuple(filters.items())
        }
        assert [each["after"] for each in a.history.asked][:4] == [0, 2, 5, 9]


async def test_a_tail_with_a_wrong_filter_is_an_error_and_not_a_silent_stream() -> None:
    async with api() as a:
        status, body = await a.get("/api/v1/events?kin=x", accept="text/event-stream")
        assert (status, body["error"]["code"]) == (400, "invalid_query")
        assert a.context.tails == 0


async def heard(a: Api, clock: FakeClock, seconds: float) -> list[tuple[float, bytes]]:
    """What a tail writes in so many seconds, each with its time."""
    began, written = clock.now().instant, list[tuple[float, bytes]]()

    async def write(data: bytes) -> None:
        written.append((clock.now().instant - began, data))

    a.context.clock = clock
    step = {"items": [], "last_id": 9, "behind": False}
    async with asyncio.TaskGroup() as group:
        task = group.create_task(history._follow(write, a.context, step, {}))
        await clock.advance(seconds)
        task.cancel()
    return written


async def test_a_quiet_tail_says_every_fifteen_seconds_that_it_is_there(clock: FakeClock) -> None:
    beat = b": still here\n\n"
    async with api() as a:
        a.history.tables["events"] = list(EVENTS)
        assert await heard(a, clock, 46.0) == [(15.0, beat), (30.0, beat), (45.0, beat)]


async def test_what_a_tail_tells_puts_its_next_sign_of_life_off(clock: FakeClock) -> None:
    async with api() as a:
        a.history.tables["events"] = [*EVENTS, {"id": 10, "kind": "late"}]
        (at, message), (beat, _) = await heard(a, clock, 29.0)
        assert message.startswith(b"id: 10\ndata: {")
        assert beat == at + history.KEEP_ALIVE_SECONDS


async def test_a_tail_that_finds_nothing_in_many_rows_still_says_that_it_is_there(
    clock: FakeClock,
) -> None:
    class Busy(FakeHistory):
        """Always a second's work behind, and never with anything that is wanted."""

        async def tail(
            self, last_id: int, *, filters: Mapping[str, str], limit: int
        ) -> Mapping[str, Any]:
            await clock.sleep(1.0)
            return {"items": [], "last_id": last_id + limit, "behind": True}

    async with api() as a:
        a.context.history = Busy()
        assert [at for at, _ in await heard(a, clock, 33.0)] == [15.5, 30.5]


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "٣", "9" * 30])
async def test_a_strange_last_id_is_refused(text: str) -> None:
    async with api() as a:
        headers = {"accept": "text/event-stream", "last-event-id": text}
        async with a.http.get(f"{a.url}/api/v1/events", headers=headers) as response:
            assert response.status == 400


async def test_tails_are_counted_bounded_and_given_back() -> None:
    async with api() as a:
        a.history.tables["events"] = list(EVENTS)
        headers = {"accept": "text/event-stream"}
        a.context.tails = history.TAILS_MAX - 1
        response = await a.http.get(f"{a.url}/api/v1/events", headers=headers)
        await response.content.readline()
        status, body = await a.get("/api/v1/events", accept="text/event-stream")
        assert (status, body["error"]["code"]) == (503, "too_many_tails")
        response.close()
        async with asyncio.timeout(5):
            while a.context.tails != history.TAILS_MAX - 1:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.02)


async def test_a_question_is_handed_to_the_history_with_its_window() -> None:
    async with api() as served:
        async with served.http.get(f"{served.url}/api/v1/questions/users?since=5") as answer:
            assert answer.status == 200
            assert await answer.json() == {"question": "users", "items": []}
        assert served.history.asked[-1] == {"question": "users", "since": "5"}
