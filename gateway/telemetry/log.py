"""Log lines, to standard output: one per request and one per thing that an operator should see.

They are made from the same events as everything else, under messages that never vary; what varies
are the fields. Lines of libraries and of our own loggers take the same way, so that all look alike.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.config import LogFormat
from gateway.events import (
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
    Usage,
)
from gateway.units import MICROS

TEXT_CHARS_MAX: Final = 300
"""Of one value: clients and providers write some of them."""
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

_TIMES: Final = ("started", "until", "since", "ended_at")
_OMITTED: Final = ("ts", "span_id", "parent_span_id", "usage")
_RENAMED: Final = {"level": "ladder_level"}
"""`level` is the line's own."""
_NAMES: Final = {kind: tuple(field.name for field in fields(kind)) for kind in MESSAGES}
_USAGE: Final = tuple(field.name for field in fields(Usage))


class LogSink:
    """A `Sink`. Writes in a thread: standard output may be a pipe that nobody empties.

    Given the same events again it does not write them twice.
    """

    name = "log"

    def __init__(self) -> None:
        self._log = structlog.stdlib.get_logger("gateway")
        self._seen = 0

    async def take(self, batch: Sequence[Stamped]) -> None:
        await asyncio.to_thread(self._write, batch)

    async def close(self) -> None:
        """Nothing to close: standard output is not ours."""

    def _write(self, batch: Sequence[Stamped]) -> None:
        for stamped in batch:
            if stamped.seq <= self._seen:
                continue
            self._seen = stamped.seq
            event = stamped.event
            found = MESSAGES.get(type(event))
            if found is None:
                continue
            level, message = found
            match event:
                case RequestFinished(outcome=outcome) if outcome in UNHAPPY:
                    level = logging.WARNING
                case AttemptFinished(outcome=AttemptOutcome.OK):
                    continue
            self._log.log(level, message, **line(event))


def line(event: Event) -> dict[str, Any]:
    """The fields of an event's line: those that say something, times as text, tokens flat."""
    found: dict[str, Any] = {"timestamp": _time(event.ts)}
    for name in _NAMES[type(event)]:
        value = getattr(event, name)
        if value is None or value == "" or name in _OMITTED:
            continue
        if name in _TIMES:
            value = _time(value)
        elif isinstance(value, float):
            value = round(value, 6)
        elif isinstance(value, str):
            value = str(value)
        found[_RENAMED.get(name, name)] = value
    usage = getattr(event, "usage", None)
    if usage is not None:
        tokens = {name: getattr(usage, name) for name in _USAGE}
        found |= {name: count for name, count in tokens.items() if count is not None}
    return found


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
            found[name] = _shown(value)
        elif isinstance(value, tuple | list):
            found[name] = [_shown(str(each)) for each in value]
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


def _shown(text: str) -> str:
    if len(text) > TEXT_CHARS_MAX:
        text = f"{text[:TEXT_CHARS_MAX]}…"
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / MICROS, UTC).isoformat().replace("+00:00", "Z")
