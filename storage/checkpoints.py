"""Moving SQLite's write-ahead log into the file: the work of one connection among all processes.

SQLite before 3.51.3 can damage a file when two connections checkpoint at the same moment. So
automatic checkpoints are off, except for the writing connection that holds the lock file. A
process that ends gives the lock back, however it ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

PAGES: Final = 1000
"""Of the log, 4 MB: then a commit moves it. A reader that is slower makes it longer."""
OFF: Final = "wal_autocheckpoint = 0"


class Checkpoints:
    """Whether they are ours to make."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.checkpoints.lock")
        self._lock: int | None = None

    @property
    def held(self) -> bool:
        return self._lock is not None

    def take(self) -> bool:
        """Takes the lock where it is free; whether it is ours."""
        if self._lock is None and sys.platform != "win32":
            try:
                lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError:
                return False
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                return False
            self._lock = lock
        return self.held

    def give_back(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def pragma(self) -> str:
        """For the writing connection."""
        return f"wal_autocheckpoint = {PAGES}" if self.take() else OFF
