"""The history over HTTP, on both kinds of database: filters, cursors, exports, and tails that lose nothing on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.end_to_end.gateways import Served, Settings, gateway, openai, settings_of
from tests.upstream import Answer, ScriptedUpstream


@asynccontextmanager
async def lively(folder: Path, storage: Settings) -> AsyncIterator[Served]:
    """A gateway after a switch, some failures and some sessions."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        settings = settings_of(
            {"a": openai(a, "one", "two"), "b": openai(b)},
            {"coder": ["a/model-a", "b/model-b"], "writer": ["b/model-b"]},
            storage=storage,
        )
        a.plan(Answer(status=429, headers={"retry-after": "60"}, json={}))
        a.plan(Answer(), Answer(status=500, json={}), Answer(status=500, json={}))
        async with gateway(folder, settings) as g:
            for n in range(12):
                name = "writer" if n % 4 == 3 else "coder"
                await g.client.chat(name, x_session_id=f"session-{n % 3}")
            await g.client.chat("codr")
            yield g


async def test_filters_narrow_and_cursors_walk(tmp_path: Path, storage: Settings) -> None:
    async with lively(tmp_path, storage) as g:
        everything = await g.client.all("events")
        assert [each["id"] for each in everything] == sorted({each["id"] for each in everything})
        for limit in (1, 7):
            assert await g.client.all("events", limit=limit) == everything
        newest = (await g.client.api("events", limit=3))["items"]
        assert newest == everything[:-4:-1]

        async def found(table: str, **query: str) -> list[Any]:
            return await g.client.all(table, limit=5, **query)

        assert len(await found("requests", route="writer")) == 3
        assert len(await found("requests", outcome="client_error")) == 1
        assert len(await found("requests", outcome="ok,client_error")) == 13
        assert {each["session"] for each in await found("requests", session="session-1")} == {
            "session-1"
        }
        assert {
            each["kind"] for each in await found("events", kind="switched,request_finished")
        } == {
            "switched",
            "request_finished",
        }
        failed = await found("attempts", failure="server_error,rate_limited")
        assert {each["credential"] for each in failed} == {"one", "two"}
        assert {each["target"] for each in await found("attempts", target="b/model-b")} == {
            "b/model-b"
        }
        middle = everything[len(everything) // 2]["ts"]
        before = await found("events", until=str(middle))
        after = await found("events", since=str(middle))
        assert before + after == everything
        one = everything[-1]["request_id"]
        assert {each["request_id"] for each in await found("events", request_id=one)} == {one}
        [pair] = (await g.client.api("switches/aggregate", by="pair", bucket_seconds=300))["items"]
        assert (pair["from"], pair["to"], pair["switches"]) == ("a/model-a", "b/model-b", 1)


async def test_a_cursor_is_good_for_its_own_question_only(
    tmp_path: Path, storage: Settings
) -> None:
    async with lively(tmp_path, storage) as g:
        first = await g.client.api("requests", limit=2, order="asc", route="coder")
        cursor = f"limit=2&cursor={first['next_cursor']}"
        second = await g.client.get(f"/api/v1/requests?order=asc&route=coder&{cursor}")
        assert second.json["items"][0]["id"] > first["items"][-1]["id"]
        for other in (
            "requests?order=asc&route=writer",
            "requests?order=asc",
            "requests?order=asc&route=coder&outcome=ok",
            "requests?order=desc&route=coder",
            "attempts?order=asc&route=coder",
        ):
            got = await g.client.get(f"/api/v1/{other}&{cursor}")
            assert got.status == 400, other
            assert got.json["error"]["code"] == "invalid_query"
            assert "the cursor belongs to another query" in got.json["error"]["message"]
        made_up = await g.client.get("/api/v1/requests?cursor=17")
        assert (made_up.status, made_up.json["error"]["code"]) == (400, "invalid_query")


async def test_a_window_is_half_open_to_the_microsecond(tmp_path: Path, storage: Settings) -> None:
    async with lively(tmp_path, storage) as g:
        for table in ("requests", "switches", "events"):
            rows = await g.client.all(table)
            ts = rows[len(rows) // 2]["ts"]
            at = [row for row in rows if row["ts"] == ts]

            async def of(since: int, until: int, name: str = table) -> list[Any]:
                return await g.client.all(name, since=str(since), until=str(until))

            assert await of(ts, ts + 1) == at
            assert await of(ts, ts) == []
            assert await of(ts - 1, ts) == [row for row in rows if row["ts"] == ts - 1]
        [switch] = await g.client.all("switches")
        ts = switch["ts"]
        for since, until, count in ((ts, ts + 1, 1), (ts - 9, ts, 0), (ts + 1, ts + 9, 0)):
            window = {"since": since, "until": until}
            pairs = (await g.client.api("switches/aggregate", **window))["items"]
            assert sum(pair["switches"] for pair in pairs) == count
            asked = (await g.client.api("questions/flapping", **window))["items"]
            assert sum(item["switches"] for item in asked) == count


async def test_an_export_is_every_row_as_a_line(tmp_path: Path, storage: Settings) -> None:
    async with lively(tmp_path, storage) as g:
        for table in ("events", "requests", "attempts", "switches", "cooldowns"):
            rows = await g.client.all(table)
            got = await g.client.get(
                f"/api/v1/{table}?order=asc", accept="application/x-ndjson, */*"
            )
            assert got.headers["content-type"] == "application/x-ndjson"
            assert [json.loads(line) for line in got.body.splitlines()] == rows
        wrong = await g.client.get("/api/v1/events?kin=x", accept="application/x-ndjson")
        assert wrong.status == 400


async def messages(response: aiohttp.ClientResponse, count: int) -> list[dict[str, Any]]:
    """The next messages of a tail, each with its id."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(8):
        while len(found) < count:
            line = (await response.content.readline()).decode().rstrip("\n")
            if line.startswith("id: "):
                number = int(line.removeprefix("id: "))
            elif line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
                assert found[-1]["id"] == number
    return found


async def test_a_tail_goes_on_where_it_was_broken_off(tmp_path: Path, storage: Settings) -> None:
    async with lively(tmp_path, storage) as g, aiohttp.ClientSession() as http:
        everything = await g.client.all("events")
        url, accept = f"{g.url}/api/v1/events", {"accept": "text/event-stream"}
        seen: list[dict[str, Any]] = []
        for part in (3, 10, len(everything) - 13):
            last = str(seen[-1]["id"] if seen else 0)
            response = await http.get(url, headers={**accept, "last-event-id": last})
            assert response.headers["content-type"] == "text/event-stream"
            seen += await messages(response, part)
            response.close()
        assert seen == everything

        response = await http.get(url, headers={**accept, "last-event-id": str(seen[-1]["id"])})
        for _ in range(3):
            await g.client.chat()
        more = await g.client.all("events")
        assert await messages(response, len(more) - len(everything)) == more[len(everything) :]
        response.close()


async def test_a_tail_begins_now_and_keeps_to_its_filters(
    tmp_path: Path, storage: Settings
) -> None:
    async with lively(tmp_path, storage) as g, aiohttp.ClientSession() as http:
        headers = {"accept": "text/event-stream"}
        query = {"kind": "request_finished", "route": "writer"}
        response = await http.get(f"{g.url}/api/v1/events", headers=headers, params=query)
        names = ("coder", "writer", "coder", "writer")
        ids = [(await g.client.chat(name)).request_id for name in names]
        found = await messages(response, 2)
        assert [each["request_id"] for each in found] == ids[1::2]
        response.close()


async def test_a_story_tells_every_candidate_in_order(tmp_path: Path, storage: Settings) -> None:
    async with lively(tmp_path, storage) as g:
        [switch] = await g.client.all("switches")
        story = await g.client.api(f"requests/{switch['request_id']}")
        assert story["request"]["fallback_from"] == "a/model-a"
        assert [
            (each["target"], each["credential"], each["outcome"], each["reason"] or each["failure"])
            for each in story["candidates"]
        ] == [
            ("a/model-a", "one", "skipped", "cooling"),
            ("a/model-a", "two", "failed", "http_500"),
            ("b/model-b", "key-1", "ok", None),
        ]
