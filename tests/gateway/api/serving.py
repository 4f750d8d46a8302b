"""The API alone: a real server over a real pool, with a history that is a dictionary."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from gateway.api.access import Access
from gateway.api.context import Context, History, HistoryQuestionError, HistoryUnavailable, Item
from gateway.app_listen import listen
from gateway.clock import SystemClock
from gateway.config import Config
from gateway.config_file import parse
from gateway.events import RequestFinished, Stamped
from gateway.relay.loop import Relay
from gateway.routing.hands import Hands
from gateway.routing.pool import Pool
from gateway.spine import Spine
from gateway.units import Timestamp
from gateway.upstream.simulated import SimulatedUpstream

SETTINGS: Mapping[str, Any] = {
    "server": {"drain_seconds": 1},
    "providers": {
        "sunny": {
            "dialect": "simulated",
            "credentials": [{"name": "main"}, {"name": "spare", "priority": 2}],
            "models": {"list": ["large", "small"]},
            "simulated": {"first_token_seconds": 0, "tokens_per_second": 100_000},
        },
        "bare": {"dialect": "simulated", "credentials": [{"name": "one"}]},
    },
    "routes": [{"name": "coder", "targets": ["sunny/large", "bare/any"]}],
}


@dataclass
class FakeHistory:
    """Implements `History` on lists."""

    tables: dict[str, list[Item]] = field(default_factory=dict)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    unavailable: str = ""

    async def page(
        self,
        table: str,
        *,
        filters: Mapping[str, str],
        limit: int,
        order: str,
        cursor: str | None,
    ) -> Mapping[str, Any]:
        self._check()
        self.asked.append({"table": table, "filters": dict(filters), "limit": limit})
        if "kin" in filters:
            message = "unknown filter 'kin'"
            raise HistoryQuestionError(message)
        rows = self.tables.get(table, [])
        rows = rows if order == "asc" else rows[::-1]
        start = int(cursor or 0)
        end = start + min(limit, 2)  # Small pages, so that exports need several.
        return {
            "items": rows[start:end],
            "next_cursor": str(end) if end < len(rows) else None,
        }

    async def tail(
        self, last_id: int, *, filters: Mapping[str, str], limit: int
    ) -> Mapping[str, Any]:
        self._check()
        self.asked.append({"after": last_id, "filters": dict(filters), "limit": limit})
        if "kin" in filters:
            message = "unknown filter 'kin'"
            raise HistoryQuestionError(message)
        rows = [row for row in self.tables.get("events", []) if row["id"] > last_id]
        looked_at = rows[:2]  # Small steps, so that a tail needs several.
        reached = looked_at[-1]["id"] if looked_at else last_id
        found = [
            row
            for row in looked_at
            if all(row.get(name) in value.split(",") for name, value in filters.items())
        ]
        return {"items": found, "last_id": reached, "behind": len(rows) > len(looked_at)}

    async def last_id(self) -> int:
        self._check()
        return max((row["id"] for row in self.tables.get("events", [])), default=0)

    async def request(self, request_id: str) -> Mapping[str, Any] | None:
        self._check()
        rows = [row for row in self.tables.get("requests", []) if row["request_id"] == request_id]
        return {"request": rows[0], "candidates": []} if rows else None

    async def answer(self, question: str, *, filters: Mapping[str, str]) -> Mapping[str, Any]:
        self.asked.append({"question": question, **filters})
        return {"question": question, "items": []}

    async def switch_pairs(self, *, filters: Mapping[str, str], bucket_seconds: int) -> list[Item]:
        self._check()
        return [{"from": "a", "to": "b", "bucket_seconds": bucket_seconds, **filters}]

    def store(self) -> Mapping[str, Any]:
        return {"ok": True, "path": "x.db", "bytes": 7, "last_error": ""}

    def _check(self) -> None:
        if self.unavailable:
            raise HistoryUnavailable(self.unavailable)


_HISTORY: type[History] = FakeHistory


class ListSink:
    """Implements the spine's `Sink`, under the name that the API waits for."""

    name = "storage"

    def __init__(self) -> None:
        self.taken: list[Stamped] = []

    async def take(self, batch: Sequence[Stamped]) -> None:
        self.taken += batch

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Api:
    """A served API and somebody who talks to it."""

    context: Context
    history: FakeHistory
    sink: ListSink
    url: str
    http: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """Status and JSON; `headers` are written with underscores."""
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        return await self._ask("POST", path, body, headers)

    async def _ask(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.request(
            method, self.url + path, data=None if body is None else data, headers=named
        ) as response:
            return response.status, json.loads(await response.read())

    async def finished(self) -> list[RequestFinished]:
        """The rows of requests so far."""
        await self.context.spine.settled("storage", 5)
        events = [stamped.event for stamped in self.sink.taken]
        return [event for event in events if isinstance(event, RequestFinished)]


@asynccontextmanager
async def api(
    more: Mapping[str, Any] | None = None, *, console: Mapping[str, tuple[bytes, str]] | None = None
) -> AsyncIterator[Api]:
    """`more` are sections of the configuration beside, or in place of, those of `SETTINGS`."""
    config = parse(json.dumps({**SETTINGS, **(more or {})}), environ={})
    history, sink = FakeHistory(), ListSink()
    clock, rng = SystemClock(), Random(1)
    spine = Spine(clock=clock, rng=rng, boot_id="boot", config_version="v1")
    spine.attach(sink, batch_seconds=0.01, batch_events_max=100, queue_bytes_max=1 << 20)
    async with spine:
        context = _context(config, spine, history, clock, rng, console or {})
        async with AsyncExitStack() as stack:
            url = await listen(stack, context, port=0)
            http = await stack.enter_async_context(aiohttp.ClientSession())
            stack.callback(_not_ready, context)
            yield Api(context, history, sink, url, http)


def _not_ready(context: Context) -> None:
    context.ready = False


def _context(
    config: Config,
    spine: Spine,
    history: FakeHistory,
    clock: SystemClock,
    rng: Random,
    console: Mapping[str, tuple[bytes, str]],
) -> Context:
    pool = Pool(config, rng=rng, now=clock.now(), speaks=lambda _provider, _client: True)
    simulated = SimulatedUpstream(clock=clock, rng=rng)
    dialects = {each.dialect for each in config.providers.values()}
    relay = Relay(
        pool=pool,
        upstreams=dict.fromkeys(dialects, simulated),
        emit=spine.emit_all,
        clock=clock,
        rng=rng,
    )

    async def scrape(accept: str) -> tuple[bytes, str]:
        return f"# {accept}\n".encode(), "text/plain"

    return Context(
        config=config,
        config_path=None,
        version="1.2.3",
        boot_id="boot",
        started=Timestamp(clock.now().timestamp - 5_000_000),
        demo=False,
        pool=pool,
        relay=relay,
        hands=Hands(pool, rng=rng),
        spine=spine,
        access=Access(config.auth, host=config.server.host),
        history=history,
        scrape=scrape,
        clock=clock,
        rng=rng,
        console=console,
        ready=True,
    )
