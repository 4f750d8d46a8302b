"""Clients that go away, and the process that is asked to stop while streams run."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.end_to_end.gateways import (
    ANTHROPIC_PATH,
    DATABASE,
    FILE,
    OPENAI_PATH,
    Program,
    anthropic,
    asked,
    client_of,
    gateway,
    openai,
    program,
    settings_of,
    write,
)
from tests.upstream import Answer, ScriptedUpstream

CANCEL_SECONDS = 1.0
SLOW = Answer(text=["word "] * 400, between_chunks=0.05)


def at_rest(status: dict[str, Any]) -> bool:
    return all(
        provider["in_flight"] == 0
        and all(each["in_flight"] == 0 for each in provider["credentials"])
        for provider in status["providers"]
    )


@pytest.mark.parametrize("path", [OPENAI_PATH, ANTHROPIC_PATH])
@pytest.mark.parametrize("moment", ["before_headers", "before_content", "in_the_stream", "single"])
async def test_a_client_that_goes_away_ends_the_upstream_call(
    tmp_path: Path, path: str, moment: str
) -> None:
    at = openai if path == OPENAI_PATH else anthropic
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = {
            "before_headers": Answer(hang=True),
            "before_content": Answer(before_content=20.0),
            "in_the_stream": SLOW,
            "single": Answer(before_content=20.0),
        }[moment]
        settings = settings_of({"a": at(a), "b": at(b)}, {"coder": ["a/model-a", "b/model-b"]})
        async with gateway(tmp_path, settings) as g, aiohttp.ClientSession() as http:
            body = asked(path, "coder", stream=moment != "single")
            if moment == "in_the_stream":
                response = await http.post(g.url + path, json=body)
                await response.content.readany()
                await response.content.readany()
                response.close()
            else:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await http.post(g.url + path, json=body)
            async with asyncio.timeout(CANCEL_SECONDS):
                await a.hits[0].until_disconnected()
            status = await g.client.until("status", at_rest, CANCEL_SECONDS)
            assert status["cooldowns"] == []
            await g.settled()
            [row] = await g.client.all("requests")
            assert row["outcome"] == "cancelled"
            assert row["status"] == (200 if moment == "in_the_stream" else 499)
            [attempt] = await g.client.all("attempts")
            assert (attempt["outcome"], attempt["failure"]) == ("cancelled", "cancelled")
            assert (attempt["bytes_sent"] > 0) is (moment == "in_the_stream")
            assert not b.hits


async def test_the_program_notices_as_well(tmp_path: Path) -> None:
    """It runs on another event loop than the tests do."""
    async with (
        ScriptedUpstream() as a,
        aiohttp.ClientSession() as http,
        serving(tmp_path, a, 1) as (p, url),
        client_of(url) as client,
    ):
        a.default = SLOW
        response = await http.post(url + OPENAI_PATH, json=asked(OPENAI_PATH, "coder", stream=True))
        await response.content.readany()
        response.close()
        async with asyncio.timeout(CANCEL_SECONDS):
            await a.hits[0].until_disconnected()
        await client.until("status", at_rest, CANCEL_SECONDS)
        assert [row["outcome"] for row in await client.all("requests")] == ["cancelled"]
        p.signal()
        assert await p.ended() == 0


# -- the process is asked to stop ------------------------------------------------------------------


@asynccontextmanager
async def serving(
    folder: Path, upstream: ScriptedUpstream, drain_seconds: float
) -> AsyncIterator[tuple[Program, str]]:
    settings = settings_of(
        {"a": openai(upstream)},
        {"coder": ["a/model-a"]},
        server={"drain_seconds": drain_seconds},
    )
    write(folder, settings)
    async with program(folder, "serve", "--config", FILE, "--port", "0") as p:
        yield p, await p.url()


def rows(folder: Path, table: str, columns: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        return connection.execute(f"SELECT {columns} FROM {table} ORDER BY id").fetchall()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stream_under_way_is_finished_before_the_process_ends(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with ScriptedUpstream() as a, aiohttp.ClientSession() as http:
        a.default = Answer(text=["word "] * 20, between_chunks=0.05)
        async with serving(tmp_path, a, 10) as (p, url):
            response = await http.post(
                url + OPENAI_PATH, json=asked(OPENAI_PATH, "coder", stream=True)
            )
            first = await response.content.readany()
            p.signal(number)
            await asyncio.sleep(0.2)
            with pytest.raises(aiohttp.ClientConnectorError):
                async with aiohttp.ClientSession() as other:
                    await other.get(f"{url}/healthz")
            body = first + await response.read()
            assert body.endswith(b"data: [DONE]\n\n")
            assert body.count(b"word ") == 20
            assert await p.ended() == 0
        assert rows(tmp_path, "requests", "outcome, status, bytes_sent") == [("ok", 200, len(body))]
        kinds = [kind for (kind,) in rows(tmp_path, "events", "kind")]
        assert kinds == ["process_started", "process_stopped"]
        # Start, attempt, request, end: nothing is missing, and the end was told last.
        assert rows(tmp_path, "events", "seq") == [(1,), (4,)]


async def test_a_stream_that_outlasts_the_drain_is_cut_and_on_record(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, aiohttp.ClientSession() as http:
        a.default = SLOW
        async with serving(tmp_path, a, 0.5) as (p, url):
            response = await http.post(
                url + OPENAI_PATH, json=asked(OPENAI_PATH, "coder", stream=True)
            )
            p.signal()
            with pytest.raises(aiohttp.ClientError):
                await response.read()
            assert await p.ended() == 0
        assert rows(tmp_path, "requests", "outcome") == [("cancelled",)]


async def test_a_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, aiohttp.ClientSession() as http:
        a.default = SLOW
        async with serving(tmp_path, a, 30) as (p, url):
            response = await http.post(
                url + OPENAI_PATH, json=asked(OPENAI_PATH, "coder", stream=True)
            )
            p.signal()
            await asyncio.sleep(0.1)
            p.signal()
            assert await p.ended(2) == 130
            response.close()


async def test_followers_of_events_do_not_keep_the_process_alive(tmp_path: Path) -> None:
    async with (
        ScriptedUpstream() as a,
        aiohttp.ClientSession() as http,
        serving(tmp_path, a, 30) as (p, url),
    ):
        headers = {"accept": "text/event-stream"}
        response = await http.get(f"{url}/api/v1/events", headers=headers)
        await response.content.readany()
        p.signal()
        assert await p.ended(4) == 0
        response.close()
