"""What processes used, read from the system: CPU in nanoseconds, memory, cores. Linux only."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

QUIET_SECONDS = 0.1
QUIET_SHARE = 0.03
"""A process that uses less than this of a core has nothing left to do."""
SETTLE_SECONDS_MAX = 5.0
PRIORITY = -10
"""Of all of a benchmark, where that is allowed: other people's processes disturb less."""
_SCHED_CLOCK = 2
_NANOS = 1e9


@dataclass(frozen=True, slots=True)
class Cores:
    load: int
    subject: int

    @property
    def apart(self) -> bool:
        return self.load != self.subject


def cores() -> Cores:
    """Load and provider on the first core that may be used, the subject on the second one."""
    usable = sorted(os.sched_getaffinity(0) | set(range(os.cpu_count() or 1)))
    return Cores(usable[0], usable[1] if len(usable) > 1 else usable[0])


def pin(pid: int, core: int) -> None:
    """That process, the threads it will have, and its children. Not where it is forbidden."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(pid, {core})


def raise_priority() -> None:
    """Of this process and those that it will start. Not where it is forbidden."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


def tree(pid: int) -> list[int]:
    """A process and all its descendants that are there now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += children.get(found[-1], [])
    return found


def running_still(pid: int) -> bool:
    """Not ended, and not waiting to be buried either."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def cpu_seconds(pids: list[int]) -> float:
    """Run time by the scheduler's own clock: of all threads, ended ones included, exact to the
    nanosecond. A process that has ended counts nothing."""
    used = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            used += time.clock_gettime(~pid << 3 | _SCHED_CLOCK)
    return used


def resident_bytes(pids: list[int]) -> int:
    """Of all of them; what they share is counted for each."""
    found = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/statm").read_text("ascii")
            found += int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return found


def busy_seconds(core: int) -> float:
    """What that core has done for processes, and what the host took from it; by ticks of 10 ms."""
    for line in Path("/proc/stat").read_text("ascii").splitlines():
        name, *counts = line.split()
        if name == f"cpu{core}":
            user, nice, system, steal = (int(counts[place]) for place in (0, 1, 2, 7))
            return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")
    return 0.0


@dataclass(slots=True)
class Reading:
    """What was used between two moments."""

    seconds: float
    cpu_seconds: float
    foreign: float
    """Share of the subject's core that others used."""


class Watch:
    """Reads what a subject's processes and its core used while it is open.

    Sinks work on after the last answer. The end waits for them, so that their share is neither lost
    nor paid by whoever is measured next: `settle_seconds` at least (0: not at all), and at most
    `settle_seconds_max`.
    """

    def __init__(
        self,
        pid: int,
        core: int,
        *,
        settle_seconds: float,
        settle_seconds_max: float = SETTLE_SECONDS_MAX,
    ) -> None:
        self._pids = tree(pid)
        self._core = core
        self._settle = (settle_seconds, settle_seconds_max)
        self._began = perf_counter()
        self._cpu = cpu_seconds(self._pids)
        self._busy = busy_seconds(core)

    def resident_bytes(self) -> int:
        return resident_bytes(self._pids)

    def end(self) -> Reading:
        ended = perf_counter()
        least, most = self._settle
        if not least:
            most = 0.0
        sleep(least)
        before = -1.0
        while (now := cpu_seconds(self._pids)) - before > QUIET_SHARE * QUIET_SECONDS:
            if perf_counter() - ended > most:
                break
            before = now
            sleep(QUIET_SECONDS)
        seconds = perf_counter() - self._began
        used = cpu_seconds(self._pids) - self._cpu
        foreign = (busy_seconds(self._core) - self._busy - used) / seconds
        return Reading(seconds, used, max(0.0, foreign))
