"""The file where events wait while the database takes none: one JSON line each, oldest first.

It exists only while something waits in it. A crash in the middle of anything at worst gives some
events to the writer twice, which leaves those it has alone; a torn last line is passed over.
One process writes it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final, get_type_hints

import msgspec

from gateway.events import Event, Stamped
from storage.rows import KINDS

BYTES_MAX: Final = 64 * 1024 * 1024
"""About a hundred thousand events: half an hour of a busy gateway, and small beside its disk."""

log = logging.getLogger(__name__)


class JournalFull(OSError):
    """The file has reached its bound: what does not fit has to wait elsewhere."""


def journal_path(database: Path) -> Path:
    """Beside the database. Not `<database>-journal`: that name is SQLite's own."""
    return database.with_name(f"{database.name}.rescued.jsonl")


class Journal:
    """A `Rescue`. Methods raise OSError; all but `bytes_waiting` work in a thread."""

    def __init__(self, path: Path, *, bytes_max: int = BYTES_MAX) -> None:
        """Goes on with what an earlier process left there. Raises OSError if it cannot be seen."""
        self._path = path
        self._bytes_max = bytes_max
        self._size = path.stat().st_size if path.exists() else 0
        self._start = self._next = 0
        """Where the oldest waiting line begins, and the first one that `oldest` did not read."""
        self._lock = Lock()
        """A cancelled caller leaves its thread at work."""
        self.unreadable = 0
        """Lines passed over: torn ones, or of a version that knows other events."""

    @property
    def bytes_waiting(self) -> int:
        return self._size - self._start

    async def append(self, batch: Sequence[Stamped]) -> None:
        """The batch is on the disk when this returns; nothing of it is kept if it raises."""
        await asyncio.to_thread(self._append, batch)

    async def oldest(self, events_max: int) -> Sequence[Stamped]:
        return await asyncio.to_thread(self._oldest, events_max)

    async def forget(self) -> None:
        """What `oldest` last returned is in the database."""
        await asyncio.to_thread(self._forget)

    def _append(self, batch: Sequence[Stamped]) -> None:
        text = b"".join(line(stamped) for stamped in batch)
        with self._lock:
            self._write(text)

    def append_lines(self, text: bytes) -> None:
        """Lines that `line` has made, in the caller's thread."""
        with self._lock:
            self._write(text)

    def _write(self, text: bytes) -> None:
        if self._size + len(text) > self._bytes_max:
            message = f"{str(self._path)!r} is full: {self._size} of {self._bytes_max} bytes"
            raise JournalFull(message)
        fresh = not self._size
        with self._path.open("ab", buffering=0) as file:
            try:
                left = memoryview(text)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                # A full disk may have taken half a line. Cutting a file needs no space.
                os.ftruncate(file.fileno(), self._size)
                raise
        self._size += len(text)
        if fresh:
            _sync_folder(self._path.parent)

    def _oldest(self, events_max: int) -> list[Stamped]:
        found: list[Stamped] = []
        with self._lock, self._path.open("rb") as file:
            file.seek(self._start)
            while len(found) < events_max and (text := file.readline()):
                stamped = _read(text)
                if stamped is not None:
                    found.append(stamped)
                elif text.strip():
                    self.unreadable += 1
                    log.warning("a rescued event cannot be read", extra={"path": str(self._path)})
            self._next = file.tell()
        return found

    def _forget(self) -> None:
        with self._lock:
            if self._next >= self._size:
                self._path.unlink(missing_ok=True)
                self._size = self._next = 0
            self._start = self._next


def line(stamped: Stamped) -> bytes:
    """Begins with a line break too: what follows a torn line is whole."""
    event = stamped.event
    values = [stamped.seq, stamped.boot_id, stamped.config_version, event.kind, event]
    try:
        return b"\n%b\n" % msgspec.json.encode(values)
    except (UnicodeError, OverflowError):
        # Half a surrogate pair, or a number of a hundred bits: json takes all that Python can hold.
        values[-1] = msgspec.to_builtins(event)
        return f"\n{json.dumps(values, separators=(',', ':'))}\n".encode()


def _read(text: bytes) -> Stamped | None:
    try:
        seq, boot_id, config_version, kind, values = json.loads(text)
        wanted = KINDS[kind]
        values |= {name: math.nan for name in _MEASURES[wanted] if values.get(name, 0.0) is None}
        event: Event = msgspec.convert(values, wanted)
    except (ValueError, KeyError, TypeError):
        return None
    return Stamped(int(seq), str(boot_id), str(config_version), event)


def _measures(kind: type[Event]) -> tuple[str, ...]:
    """Its fields that are always a number with a fraction: "not a number" is written as null."""
    return tuple(name for name, hint in get_type_hints(kind).items() if hint is float)


_MEASURES: Final = {kind: _measures(kind) for kind in KINDS.values()}


def _sync_folder(folder: Path) -> None:
    """A new file's name is on the disk only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
