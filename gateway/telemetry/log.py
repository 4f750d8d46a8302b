"""Log lines, to standard output: one per request and one per thing that an operator should see.

They are made from the same events as everything else, under messages that never vary; what varies
are the fields. Lines of libraries and of our own loggers take the same way, so that all look alike.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.config import LogFormat
from gateway.events import (
    TOKENS,
    AttemptFinished,
    AttemptOutcome,
    ConfigRejected,
    ConfigReloaded,
    CooldownEnded,
    CooldownExtended,
    CooldownStarted,
    DataGap,
    Event,
    FlappingEnded,
    FlappingStarted,
    HistoryAdapted,
    LocalNetwork,
    OperatorActed,
    PoolWideFailure,
    ProcessStarted,
    ProcessStopped,
    RequestFinished,
    RequestOutcome,
    SessionMoved,
    Stamped,
    Switched,
)
from gateway.telemetry.log_quick import OMITTED, TIMES, quick, quoted, shown, time_text

QUIET: Final = ("asyncio", "aiosqlite", "urllib3", "alembic.runtime.migration")
"""Libraries whose lines below warnings tell an operator nothing."""

MESSAGES: Final[Mapping[type[Event], tuple[int, str]]] = {
    RequestFinished: (logging.INFO, "request"),
    AttemptFinished: (logging.DEBUG, "attempt"),
    Switched: (logging.WARNING, "switched"),
    CooldownStarted: (logging.WARNING, "cooldown started"),
    CooldownExtended: (logging.INFO, "cooldown extended"),
    CooldownEnded: (logging.INFO, "cooldown ended"),
    FlappingStarted: (logging.WARNING, "flapping started"),
    FlappingEnded: (logging.WARNING, "flapping ended"),
    SessionMoved: (logging.DEBUG, "session moved"),
    HistoryAdapted: (logging.INFO, "history adapted"),
    PoolWideFailure: (logging.WARNING, "pool-wide failure"),
    LocalNetwork: (logging.WARNING, "local network"),
    OperatorActed: (logging.WARNING, "operator acted"),
    ConfigReloaded: (logging.INFO, "configuration reloaded"),
    ConfigRejected: (logging.ERROR, "configuration rejected"),
    ProcessStarted: (logging.INFO, "process started"),
    ProcessStopped: (logging.INFO, "process stopped"),
    DataGap: (logging.ERROR, "events lost"),
}
"""Level and message by kind; skipped candidates are for the history, there may be hundreds."""
UNHAPPY: Final = (RequestOutcome.UPSTREAM_ERROR, RequestOutcome.EXHAUSTED)
"""Requests told as warnings: nobody served them."""

_RENAMED: Final = {"ts": "timestamp", "level": "ladder_level"}
"""`level` is the line's own."""
_LEVEL_NAMES: Final = {
    level: logging.getLevelName(level).lower()
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
}
_USAGE: Final = TOKENS
_SPENT: Final = attrgetter(*_USAGE)


def _values(kind: type[Event]) -> tuple[tuple[str, ...], Callable[[Event], tuple[Any, ...]]]:
    names = ("ts", *(name for name in kind.__struct_fields__ if name not in OMITTED))
    return names, attrgetter(*names)


_VALUES: Final = {kind: _values(kind) for kind in MESSAGES}
"""The fields of a line, and what takes their values from an event."""


class LogSink:
    """A `Sink`. Writes in a thread: standard output may be a pipe that nobody empties.

    Makes its lines itself, in the form that `configure` gives to all others: the way through
    `logging` takes ten times as long, and there is a line for each request. Given the same events
    again it does not write them twice.
    """

    name = "log"

    def __init__(self, log_format: LogFormat) -> None:
        self._rendered = _as_json if log_format is LogFormat.JSON else _as_text()
        coloured = log_format is not LogFormat.JSON and sys.stdout.isatty()
        self._request = None if coloured else quick(log_format)
        self._log = logging.getLogger("gateway")
        self._seen = 0

    async def take(self, batch: Sequence[Stamped]) -> None:
        await asyncio.to_thread(self._write, batch)

    async def close(self) -> None:
        """Nothing to close: standard output is not ours."""

    def _write(self, batch: Sequence[Stamped]) -> None:
        lines = []
        lowest = self._log.getEffectiveLevel()
        for stamped in batch:
            if stamped.seq <= self._seen:
                continue
            self._seen = stamped.seq
            level = _level(stamped.event)
            if level is not None and level >= lowest:
                lines.append(self._line(stamped.event, level))
        if lines:
            # In one piece: no line of another thread gets in between.
            sys.stdout.write("\n".join((*lines, "")))
            sys.stdout.flush()

    def _line(self, event: Event, level: int) -> str:
        if self._request is not None and isinstance(event, RequestFinished):
            try:
                return self._request(event, _LEVEL_NAMES[level])
            except AttributeError:  # A plain text where an enum should be.
                pass
        return self._rendered(_whole(event, level))


def _level(event: Event) -> int | None:
    """None for what is no line at all."""
    if isinstance(event, RequestFinished):
        return logging.WARNING if event.outcome in UNHAPPY else logging.INFO
    if isinstance(event, AttemptFinished) and event.outcome is AttemptOutcome.OK:
        return None
    found = MESSAGES.get(type(event))
    return None if found is None else found[0]


def line(event: Event) -> dict[str, Any]:
    """The fields of an event's line: those that say something, times as text, tokens flat."""
    found: dict[str, Any] = {}
    names, values = _VALUES[type(event)]
    for name, value in zip(names, values(event), strict=True):
        if value is None or value == "":
            continue
        if name in TIMES:
            value = time_text(value)
        elif isinstance(value, float):
            value = round(value, 6)
        elif isinstance(value, str):
            value = str(value)
        found[_RENAMED.get(name, name)] = value
    usage = getattr(event, "usage", None)
    if usage is not None:
        tokens = zip(_USAGE, _SPENT(usage), strict=True)
        found |= {name: count for name, count in tokens if count is not None}
    return found


def _whole(event: Event, level: int) -> EventDict:
    """The line with everything that `configure` adds to those of other loggers."""
    found = line(event)
    found["level"] = _LEVEL_NAMES[level]
    found["logger"] = "gateway"
    found["event"] = MESSAGES[type(event)][1]
    return printable(None, "", found)


def _as_json(found: EventDict) -> str:
    found["message"] = found.pop("event")
    return msgspec.json.encode(found).decode()


def _as_text() -> Callable[[EventDict], str]:
    """As structlog's console; where nobody wants colours, made for a tenth of its time."""
    if not sys.stdout.isatty():
        return _plain
    coloured = structlog.dev.ConsoleRenderer(colors=True)
    return lambda found: coloured(None, "", found)


def _plain(found: EventDict) -> str:
    head = f"{found.pop('timestamp')} [{found.pop('level'):<9}] {found.pop('event'):<30} "
    head += f"[{found.pop('logger')}] "
    return head + " ".join([f"{name}={quoted(found[name])}" for name in sorted(found)])


def configure(log_format: LogFormat, level: str) -> None:
    """Every line of the process to standard output, in this format. To be called once.

    Raises ValueError for a level that is none of debug, info, warning, error.
    """
    wanted = logging.getLevelNamesMapping().get(level.upper())
    if wanted is None:
        message = f"EVENKEEL_LOG_LEVEL: {level!r} is none of debug, info, warning, error"
        raise ValueError(message)
    before: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.MaybeTimeStamper(fmt="iso"),
        printable,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *before],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(wanted)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(wanted, logging.WARNING))


def printable(_: WrappedLogger, __: str, found: EventDict) -> EventDict:
    """No value breaks a line, moves the cursor or is endless, whoever wrote it."""
    for name, value in found.items():
        if isinstance(value, str):
            found[name] = shown(value)
        elif isinstance(value, tuple | list):
            found[name] = [shown(str(each)) for each in value]
    return found


def _renderers(log_format: LogFormat) -> list[Processor]:
    if log_format is LogFormat.JSON:
        return [
            structlog.processors.dict_tracebacks,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ]
    plain = structlog.dev.plain_traceback
    colours = sys.stdout.isatty()
    return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)]
