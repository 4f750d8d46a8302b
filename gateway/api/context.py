"""What the handlers are given: one typed object, made in `app`, reached through one key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from aiohttp import web

from gateway.api.access import Access
from gateway.api.ids import RequestIds
from gateway.config import Config
from gateway.events import Event
from gateway.relay.loop import Relay
from gateway.routing.hands import Hands
from gateway.routing.pool import Pool
from gateway.spine import Spine
from gateway.telemetry.content import Contents
from gateway.units import Clock, Timestamp

Item = dict[str, Any]
"""One row of the history, as JSON."""


class HistoryQuestionError(ValueError):
    """The caller's fault: an unknown filter, a limit out of range, a foreign cursor."""


class HistoryUnavailable(Exception):
    """The store cannot answer now; the message says why."""


class History(Protocol):
    """Reading what happened. Raises `HistoryQuestionError` and `HistoryUnavailable` only."""

    async def page(
        self,
        table: str,
        *,
        filters: Mapping[str, str],
        limit: int,
        order: str,
        cursor: str | None,
    ) -> Mapping[str, Any]:
        """`items` and `next_cursor`."""
        ...

    async def tail(
        self, last_id: int, *, filters: Mapping[str, str], limit: int
    ) -> Mapping[str, Any]:
        """`items` after that id, `last_id` to go on from, `behind`: more is there already."""
        ...

    async def last_id(self) -> int: ...

    async def request(self, request_id: str) -> Mapping[str, Any] | None:
        """`request` and `candidates`."""
        ...

    async def switch_pairs(
        self, *, filters: Mapping[str, str], bucket_seconds: int
    ) -> list[Item]: ...

    async def answer(self, question: str, *, filters: Mapping[str, str]) -> Mapping[str, Any]:
        """`question`, `asks`, `since`, `until`, `gaps` and `items`."""
        ...

    def store(self) -> Mapping[str, Any]:
        """For the status: `ok`, `path`, `last_error`."""
        ...


class ReloadRefused(Exception):
    """The new configuration is wrong, or cannot be taken on while running; the old one stays."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


async def no_reload(_actor: str, _note: str) -> Sequence[str]:
    """Of a gateway whose configuration has no source to read again."""
    raise ReloadRefused(("there is no configuration to read again",))


@dataclass(slots=True, kw_only=True)
class Context:
    config: Config
    config_path: str | None
    version: str
    boot_id: str
    started: Timestamp
    demo: bool
    pool: Pool
    relay: Relay
    hands: Hands
    spine: Spine
    access: Access
    history: History
    scrape: Callable[[str], Awaitable[tuple[bytes, str]]]
    """`Accept` header → body and content type of /metrics."""
    clock: Clock
    rng: Random
    console: Mapping[str, tuple[bytes, str]] = field(default_factory=dict)
    """File name → content and type."""
    reload: Callable[[str, str], Awaitable[Sequence[str]]] = no_reload
    """Reads the configuration again on behalf of an actor, with a note. The dotted paths that
    changed; raises `ReloadRefused`."""
    contents: Contents | None = None
    """Where prompts and answers are kept for their spans; None: they are not."""
    ready: bool = False
    """Started, and not yet asked to stop."""
    request_ids: RequestIds = field(init=False)
    internal_errors: int = 0
    tails: int = 0
    """Event streams being followed."""

    def __post_init__(self) -> None:
        self.request_ids = RequestIds(self.rng)

    def silence(self) -> float:
        """The longest on a stream, as configured now."""
        return self.config.server.keep_alive_seconds

    def emit(self, events: Sequence[Event]) -> None:
        self.spine.emit_all(events)
        self.relay.wake(self.pool)


CONTEXT = web.AppKey("context", Context)
