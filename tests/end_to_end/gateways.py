"""Whole gateways on loopback ports: in this process, or as the program that people start.

Settings are made with `openai`, `anthropic` and `settings_of`; `gateway` serves them with a client
at hand, `program` starts the real thing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from gateway import config_file
from gateway.api.context import Context
from gateway.app import running
from gateway.units import Clock
from tests.upstream import ScriptedUpstream

ROOT = Path(__file__).parents[2]
FILE = "evenkeel.yaml"
DATABASE = "evenkeel.db"
PATIENCE_SECONDS = 8.0
"""Bound of every wait here: what takes longer has failed."""
POLL_SECONDS = 0.02
OPENAI_PATH = "/v1/chat/completions"
ANTHROPIC_PATH = "/v1/messages"

Settings = dict[str, Any]
T = TypeVar("T")


# -- configuration -------------------------------------------------------------------------------


def openai(upstream: ScriptedUpstream, *keys: str, **more: Any) -> Settings:
    """A provider at `upstream` whose credentials are called as their keys are, without `sk-`."""
    return _provider("openai", upstream.openai_url, keys, more)


def anthropic(upstream: ScriptedUpstream, *keys: str, **more: Any) -> Settings:
    return _provider("anthropic", upstream.url, keys, more)


def gemini(upstream: ScriptedUpstream, *keys: str, **more: Any) -> Settings:
    return _provider("gemini", upstream.gemini_url, keys, more)


def _provider(dialect: str, url: str, keys: Sequence[str], more: Settings) -> Settings:
    credentials = [{"name": key, "key": f"sk-{key}"} for key in keys or ("key-1",)]
    return {"dialect": dialect, "base_url": url, "credentials": credentials, **more}


def settings_of(
    providers: Settings, routes: Mapping[str, Sequence[Any]] | None = None, **more: Any
) -> Settings:
    listed = [{"name": name, "targets": list(each)} for name, each in (routes or {}).items()]
    return {"providers": providers, "routes": listed, **more}


def write(folder: Path, settings: Settings | str) -> Path:
    """The configuration file of `settings`; JSON is YAML."""
    path = folder / FILE
    path.write_text(settings if isinstance(settings, str) else json.dumps(settings, indent=1))
    return path


async def until(holds: Callable[[], bool]) -> None:
    """Waits for what can only be looked at again and again."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if holds():
                return
            await asyncio.sleep(POLL_SECONDS)


# -- a client ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Got:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        return self.headers["x-evenkeel-request-id"]

    @property
    def provider(self) -> str:
        return self.headers["x-evenkeel-provider"]


class Series(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """The samples of one scrape."""

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name with these labels."""
        wanted = set(labels.items())
        return sum(value for (each, has), value in self.items() if each == name and wanted <= has)

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The sums by the values of these labels, those of 0 left out."""
        found: dict[tuple[str, ...], float] = {}
        for (each, has), value in self.items():
            if each == name and value:
                known = dict(has)
                key = tuple(known[label] for label in labels)
                found[key] = found.get(key, 0.0) + value
        return found


class Client:
    """Somebody who talks to a gateway, or to an upstream directly."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def send(self, method: str, path: str, data: bytes | None = None, **headers: Any) -> Got:
        """`headers` are texts, their names written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.url + path, encoded=True)
        async with self.http.request(method, url, data=data, headers=named) as response:
            return Got(response.status, response.headers.copy(), await response.read())

    async def get(self, path: str, **headers: Any) -> Got:
        return await self.send("GET", path, None, **headers)

    async def post(self, path: str, body: object, **headers: Any) -> Got:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.send("POST", path, data, **headers)

    async def chat(self, model: str = "coder", *, stream: bool = False, **headers: Any) -> Got:
        return await self.ask(OPENAI_PATH, model, stream=stream, **headers)

    async def ask(self, path: str, model: str, *, stream: bool = False, **headers: Any) -> Got:
        return await self.post(path, asked(path, model, stream=stream), **headers)

    async def until_served_by(self, provider: str, model: str = "coder") -> int:
        """Sends requests, all of which must be served, until this provider serves one; how many."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for n in count(1):
                got = await self.chat(model, stream=True)
                assert got.status == 200, got.body
                if got.provider == provider:
                    return n
                await asyncio.sleep(POLL_SECONDS)
        raise AssertionError

    async def api(self, path: str, **query: str | int) -> Any:
        """What `/api/v1/<path>` answers."""
        async with self.http.get(f"{self.url}/api/v1/{path}", params=query) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def story(self, got: Got) -> Any:
        return await self.api(f"requests/{got.request_id}")

    async def all(self, table: str, *, limit: int = 1000, **query: str) -> list[dict[str, Any]]:
        """Every row, page by page."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.api(table, limit=limit, order="asc", **query, **cursor)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    async def metrics(self) -> Series:
        text = (await self.get("/metrics")).body.decode()
        return Series(
            ((sample.name, frozenset(sample.labels.items())), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        )

    async def until(self, path: str, seen: Any, seconds: float = PATIENCE_SECONDS) -> Any:
        """Asks `/api/v1/<path>` until `seen` holds for the answer; that answer."""
        found: Any = None

        async def ask() -> bool:
            nonlocal found
            found = await self.api(path)
            return bool(seen(found))

        await eventually(ask, seconds)
        return found


async def eventually(
    holds: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS
) -> None:
    """Asks again and again until it holds."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - what happens elsewhere sets no event here
            await asyncio.sleep(POLL_SECONDS)


async def collect(stream: AsyncIterable[T], into: list[T]) -> None:
    """All that comes, also where it breaks off in the end."""
    async for each in stream:
        into.append(each)  # noqa: PERF401 - a comprehension would lose what came before


def asked(path: str, model: str, *, stream: bool = False) -> Settings:
    body: Settings = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    if path == ANTHROPIC_PATH:
        body["max_tokens"] = 50
    return {**body, "stream": True} if stream else body


@asynccontextmanager
async def client_of(url: str, **headers: str) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(
        headers=headers, timeout=aiohttp.ClientTimeout(total=4 * PATIENCE_SECONDS)
    ) as http:
        yield Client(url, http)


# -- gateways ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway in this process."""

    url: str
    client: Client
    context: Context

    async def settled(self) -> None:
        """Until the store and the metrics have everything that was emitted so far."""
        for sink in ("storage", "metrics"):
            assert await self.context.spine.settled(sink, PATIENCE_SECONDS)


@asynccontextmanager
async def gateway(
    folder: Path,
    settings: Settings | str,
    *,
    key: str = "",
    host: str | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Served]:
    """The gateway of `settings`, a mapping or the file's own text; its client sends `key` where one
    is given."""
    loaded = config_file.load(write(folder, settings), environ={}, cwd=folder)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with (
        running(loaded, port=0, host=host, clock=clock) as up,
        client_of(up.url, **headers) as client,
    ):
        yield Served(up.url, client, up.context)


@dataclass(frozen=True, slots=True)
class Program:
    """`evenkeel …` as a process of its own."""

    process: asyncio.subprocess.Process
    output: Path
    """Both of its outputs, as far as written."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Its exit status, once it has one."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def url(self, seconds: float = 4 * PATIENCE_SECONDS) -> str:
        """Where it serves, as it says itself."""
        async with asyncio.timeout(seconds):
            while " serves on " not in (text := self.text()):
                assert self.process.returncode is None, text
                await asyncio.sleep(POLL_SECONDS)
        return text.partition(" serves on ")[2].split()[0].rstrip(",")


@asynccontextmanager
async def program(folder: Path, *arguments: str, **environ: str) -> AsyncIterator[Program]:
    """Starts `evenkeel` in `folder`, and kills it at the end if it is still there."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    output = folder / "output.txt"
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway",
            *arguments,
            stdout=file,
            stderr=file,
            cwd=folder,
            env={**clean, "PYTHONPATH": str(ROOT), **environ},
        )
    try:
        yield Program(process, output)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
