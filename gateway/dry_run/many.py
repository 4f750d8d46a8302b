"""Several runs at once, each in a process of its own: they share nothing, and a core each is faster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from gateway.dry_run.scenario import Script
from gateway.dry_run.stage import Played, Progress, play


@dataclass(frozen=True, slots=True)
class Job:
    """One run; without `timeline` only its figures are wanted."""

    script: Script
    timeline: bool = True


def play_all(
    jobs: Sequence[Job], *, progress: Progress, processes: int | None = None
) -> list[Played]:
    """What came of each, in the order of the jobs. `processes`: at most; None = one a core."""
    workers = min(len(jobs), (os.cpu_count() or 1) if processes is None else processes)
    if workers > 1:
        return _in_processes(jobs, workers, progress)
    done: list[Played] = []
    for number, job in enumerate(jobs):

        def told(share: float, before: int = number) -> None:
            progress((before + share) / len(jobs))

        done.append(play(job.script, timeline=job.timeline, progress=told))
    return done


def _in_processes(jobs: Sequence[Job], workers: int, progress: Progress) -> list[Played]:
    # Spawned, not forked: a fork would take the progress bar's thread's locks along.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(play, job.script, timeline=job.timeline) for job in jobs]
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                future.result()
                progress(number / len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True, wait=False)
            raise
        return [future.result() for future in futures]
