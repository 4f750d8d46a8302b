from __future__ import annotations

from typing import Any

from gateway.replay.before import standing
from tests.gateway.replay.building import SINCE, at


def rest(started: float, until: float, ended: float | None = None) -> dict[str, Any]:
    over = None if ended is None else at(ended)
    return {"started": at(started), "until": at(until), "ended_at": over}


def flaps(kind: str, target: str) -> dict[str, Any]:
    return {"kind": kind, "route": "coder", "target": target}


def test_only_what_ran_when_the_window_began_stands() -> None:
    running, later = rest(-60, 60), rest(-30, 60, ended=10)
    rows = [rest(-60, -1), rest(-60, 60, ended=-5), running, later, rest(5, 60)]
    found = standing(SINCE, cooldowns=rows, switches=[], flapping=[], acts=[])
    assert found["cooldowns"] == [running, later]


def test_the_last_word_on_each_target_counts() -> None:
    started, ended = "flapping_started", "flapping_ended"
    rows = [flaps(started, "a"), flaps(started, "b"), flaps(ended, "a")]
    found = standing(SINCE, cooldowns=[], switches=[], flapping=rows, acts=[])
    assert found["flapping"] == [rows[1]]
