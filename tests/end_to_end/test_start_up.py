"""The real process: how soon it serves, and what it does not load for that."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from tests.end_to_end.gateways import FILE, ROOT, client_of, openai, program, settings_of, write
from tests.upstream import ScriptedUpstream

READY_SECONDS = 6.0
"""The aim is 2 s on a machine of its own; here others may be at work."""
HEAVY = ("litellm", "opentelemetry", "alembic", "openai", "anthropic", "grpc", "httpx")


async def test_the_process_is_ready_soon(tmp_path: Path) -> None:
    clock = SystemClock()
    async with ScriptedUpstream() as a:
        write(tmp_path, settings_of({"a": openai(a)}, {"coder": ["a/model-a"]}))
        began = clock.now().instant
        async with program(tmp_path, "serve", "--config", FILE, "--port", "0") as p:
            url = await p.url()
            async with client_of(url) as client:
                ready = await client.get("/readyz")
                seconds = clock.now().instant - began
                assert (ready.status, ready.json["status"]) == (200, "ready")
                assert ready.json["targets_ready"] == {"coder": 1}
                print(f"\nready after {seconds:.2f} s")  # noqa: T201
                assert seconds < READY_SECONDS
                assert (await client.chat()).status == 200
                assert (await client.get("/healthz")).json == {"status": "ok"}


SERVED = """
import asyncio, json, sys, uvloop
from pathlib import Path
import aiohttp
from gateway import config_file
from gateway.app import running

async def main():
    loaded = config_file.load(Path(sys.argv[1]), environ={}, cwd=Path.cwd())
    async with running(loaded, port=0) as up, aiohttp.ClientSession() as session:
        for path in sys.argv[2:]:
            for stream in (False, True):
                body = {"model": "r", "messages": [{"role": "user", "content": "Hello"}],
                        "max_tokens": 9, "stream": stream}
                async with session.post(up.url + path, json=body) as answer:
                    assert answer.status == 200, await answer.read()
                    await answer.read()
        await up.context.scrape("")
        await up.context.spine.settled("storage", 5)
        print(*sys.modules)

asyncio.run(main())
"""


def test_serving_loads_no_heavy_library(tmp_path: Path) -> None:
    """Neither on import nor with the database made, the metrics scraped and the log written."""
    provider = {"dialect": "simulated", "credentials": [{"name": "one"}]}
    path = write(tmp_path, settings_of({"a": provider}))
    done = subprocess.run(
        [sys.executable, "-c", SERVED, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    _assert_light(done.stdout)


@pytest.mark.parametrize(
    ("path", "dialect"), [("/v1/chat/completions", "openai"), ("/v1/messages", "anthropic")]
)
async def test_passing_through_loads_no_heavy_library(
    tmp_path: Path, path: str, dialect: str
) -> None:
    """Nor does serving requests, streamed and not, that need no translation."""
    async with ScriptedUpstream() as a:
        base = a.openai_url if dialect == "openai" else a.url
        credentials = [{"name": "one", "key": "k"}]
        provider = {"dialect": dialect, "base_url": base, "credentials": credentials}
        config = write(tmp_path, settings_of({"a": provider}, {"r": ["a/model-a"]}))
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVED, str(config), path),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        told, _ = await done.communicate()
        assert done.returncode == 0
        assert len(a.hits) == 2
        _assert_light(told.decode())


def _assert_light(modules: str) -> None:
    loaded = {name.partition(".")[0] for name in modules.split()}
    assert {"gateway", "storage", "aiohttp"} <= loaded
    assert loaded.isdisjoint(HEAVY), loaded & set(HEAVY)
