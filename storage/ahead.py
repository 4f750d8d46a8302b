"""What must outlive a killed process, noted before anybody acts on it: a file of a few lines.

A note is one write into the system's memory, without waiting for the disk: it survives `kill -9`,
not a loss of power. It is struck out once its event is in the database or the rescue file; what a
process left there, the next one hands to its rescue file. One process writes it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.events import Stamped
from storage.journal import Journal, line

BYTES_MAX: Final = 8 * 1024 * 1024
"""Notes are struck out within milliseconds; seconds after, the rescue file has them all."""

log = logging.getLogger(__name__)


def ahead_path(database: Path) -> Path:
    return database.with_name(f"{database.name}.ahead.jsonl")


class Ahead:
    """Implements `Notes`. Never raises: what cannot be noted goes the usual way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._size = 0

    def hand_over(self, journal: Journal) -> None:
        """What a killed process left here is to be stored first. Before the first note."""
        try:
            left = self._path.read_bytes() if self._path.exists() else b""
            if left.strip():
                journal.append_lines(left + b"\n")
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("notes of the last process cannot be read", extra={"cause": str(error)})

    def note(self, batch: Sequence[Stamped]) -> None:
        text = b"".join(map(line, batch))
        if self._size + len(text) > BYTES_MAX:
            return
        try:
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o644)
            self._size += os.write(self._file, text)
        except OSError:
            self._size += len(text)  # A torn line is passed over when it is read.

    def strike_out(self) -> None:
        """All that is noted is safe elsewhere."""
        if self._file is None:
            return
        try:
            os.ftruncate(self._file, 0)
            self._size = 0
        except OSError:
            return

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._path.unlink(missing_ok=True)
