"""The history of a gateway that runs as a process: read over HTTP and by commands, on each kind of
database; a long export leaves as it is read, in constant memory."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from gateway.cli import cli
from gateway.config import Storage
from gateway.events import AttemptFinished
from storage.database import open_database
from storage.questions import QUESTIONS
from storage.writer import Writer
from tests.end_to_end.gateways import (
    DATABASE,
    FILE,
    Client,
    Settings,
    client_of,
    openai,
    program,
    settings_of,
    write,
)
from tests.storage.samples import batch, example
from tests.upstream import Answer, ScriptedUpstream

ROWS = 60_000
"""Near sixty megabytes of NDJSON."""
GROWTH_BYTES_MAX = 30 << 20
ROUNDS = 20


@asynccontextmanager
async def served(folder: Path, storage: Settings) -> AsyncIterator[Client]:
    """A gateway after a switch, as a process of its own."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        settings = settings_of(
            {"a": openai(a), "b": openai(b)},
            {"coder": ["a/model-a", "b/model-b"]},
            storage=storage,
            server={"port": 9},
        )
        a.plan(Answer(), Answer(status=500, json={}), Answer(status=500, json={}))
        write(folder, settings)
        async with program(folder, "serve", "--port", "0") as p, client_of(await p.url()) as client:
            for _ in range(8):
                assert (await client.chat()).status == 200
            yield client


async def command(*arguments: str) -> Result:
    """`evenkeel …`, in a thread of this process: the gateway is the other one."""
    result = await asyncio.to_thread(
        CliRunner().invoke, cli, arguments, env={"EVENKEEL_CONFIG": None}
    )
    assert result.exit_code == 0, result.output
    return result


async def test_what_a_gateway_did_is_read_over_http_and_by_commands(
    tmp_path: Path, storage: Settings
) -> None:
    async with served(tmp_path, storage) as client:
        url = ("--url", client.url)
        requests = await client.all("requests")
        assert [row["outcome"] for row in requests] == ["ok"] * 8
        [switch] = await client.all("switches")
        assert (switch["from"], switch["to"]) == ("a/model-a", "b/model-b")
        [pair] = (await client.api("switches/aggregate"))["items"]
        assert pair["switches"] == 1
        everything = await client.all("events")
        assert await client.all("events", limit=3) == everything

        users = json.loads((await command("ask", "users", "--json", *url)).stdout)
        window = {"since": users["since"], "until": users["until"]}
        assert users == await client.api("questions/users", **window)
        [coder] = users["items"]
        assert (coder["requests"], coder["failed"], coder["rescued"]) == (8, 0, 1)
        answers = json.loads((await command("ask", "--json", *url)).stdout)
        assert [each["question"] for each in answers] == list(QUESTIONS)

        story = (await command("requests", switch["request_id"], *url)).stdout
        assert "a/model-a [key-1] tried: failed after" in story
        assert "coder switched a/model-a → b/model-b (server_error)" in story

        file = tmp_path / "everything.ndjson"
        noted = (await command("export", "-o", str(file), *url)).stderr
        assert f"{len(everything)} rows of events are in {file}" in noted
        assert [json.loads(line) for line in file.read_text().splitlines()] == everything
        printed = (await command("export", "--table", "requests", *url)).stdout
        assert [json.loads(line) for line in printed.splitlines()] == requests

    # Where no gateway runs, the same commands read its database.
    there = ("--config", str(tmp_path / FILE))
    again = await command("requests", switch["request_id"], *there)
    assert again.stdout == story
    assert "no gateway answers" in again.stderr
    assert "this is from the database" in again.stderr
    later = json.loads((await command("ask", "users", "--json", *there)).stdout)
    assert [each["requests"] for each in later["items"]] == [8]
    printed = (await command("export", "--table", "requests", *there)).stdout
    assert [json.loads(line) for line in printed.splitlines()] == requests


# -- a long export -------------------------------------------------------------------------------


async def filled(folder: Path) -> None:
    """A database with one attempt, so many times."""
    database = await open_database(Storage(), folder=folder)
    assert database.writer is not None
    await Writer(database.writer).take(batch(example(AttemptFinished, reason="r" * 200)))
    await database.close()
    with closing(sqlite3.connect(folder / DATABASE)) as file:
        names = [row[1] for row in file.execute("PRAGMA table_info(attempts)")]
        quoted = [f'"{name}"' for name in names]
        values = [f"{name} + place" if name in ('"id"', '"seq"') else name for name in quoted]
        file.execute(
            "WITH RECURSIVE more(place) AS "
            "(SELECT 1 UNION ALL SELECT place + 1 FROM more WHERE place < ?) "
            f"INSERT INTO attempts ({', '.join(quoted)}) "
            f"SELECT {', '.join(values)} FROM attempts, more WHERE attempts.id = 1",
            (ROWS - 1,),
        )
        file.commit()


def resident(pid: int, name: str) -> int:
    """`VmRSS` now, `VmHWM` at most so far, in bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10


async def test_a_long_export_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    await filled(tmp_path)
    provider: dict[str, Any] = {"dialect": "simulated", "credentials": [{"name": "one"}]}
    write(tmp_path, settings_of({"a": provider}))
    headers = {"accept": "application/x-ndjson"}
    async with program(tmp_path, "serve", "--port", "0") as p, client_of(await p.url()) as client:
        short = await client.get("/api/v1/attempts?until=1", accept=headers["accept"])
        assert short.body == b""
        for _ in range(3):
            await client.api("attempts", limit=1000)
        before = resident(p.pid, "VmHWM")
        url = f"{client.url}/api/v1/attempts?order=asc"
        count = size = 0
        async with client.http.get(url, headers=headers) as response:
            assert "content-length" not in response.headers
            first = await response.content.readany()
            # A reader that pauses stops the export: nothing is piled up for it meanwhile.
            for _ in range(ROUNDS):
                assert (await client.get("/healthz")).status == 200
            count, size = first.count(b"\n"), len(first)
            async for chunk in response.content.iter_any():
                count += chunk.count(b"\n")
                size += len(chunk)
        grown = resident(p.pid, "VmHWM") - before
        assert count == ROWS
        assert size > 5 * GROWTH_BYTES_MAX // 4
        assert grown < GROWTH_BYTES_MAX, f"{grown >> 20} MiB for an export of {size >> 20} MiB"
        print(f"\n{size >> 20} MiB of export, {grown >> 10} KiB more memory")  # noqa: T201
