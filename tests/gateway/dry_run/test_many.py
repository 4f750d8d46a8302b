"""Several runs at once come to the same as one after the other."""

from __future__ import annotations

from gateway.dry_run.many import Job, play_all
from gateway.dry_run.stage import play
from tests.gateway.dry_run.building import lasting, script


def test_processes_change_nothing_and_keep_the_order() -> None:
    scripts = [lasting(script(), seconds) for seconds in (900, 700, 1000)]
    told: list[float] = []
    jobs = [Job(each) for each in scripts]
    found = play_all(jobs, progress=told.append, processes=2)
    assert found == [play(each) for each in scripts]
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_one_process_tells_its_progress_on_the_way() -> None:
    told: list[float] = []
    jobs = [Job(lasting(script(), 300), timeline=False)] * 2
    found = play_all(jobs, progress=told.append, processes=1)
    assert len(found) == 2
    assert told == sorted(told)
    assert any(0.1 < share < 0.4 for share in told)


def test_nothing_to_play_is_nothing_played() -> None:
    assert play_all([], progress=print) == []
