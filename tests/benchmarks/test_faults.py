"""A fault in small, in seconds, through a real gateway: that the figures are there, not how good."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config_file
from gateway.config import Config
from tests.benchmarks import faults
from tests.benchmarks.faults import Spans, Subject, evenkeel
from tests.benchmarks.faulty import Fault

SMALL = Spans(warm=0.2, plain=0.5, fault=1.3, silent=1.3, patience=0.6)
SUBJECT = Subject(name="evenkeel", make=evenkeel, per_second=50.0, return_seconds=0.0)


@pytest.mark.parametrize("kind", [Fault.ERROR, Fault.REFUSED])
async def test_no_request_is_lost_to_a_fault_before_content(kind: Fault) -> None:
    found = await faults.trial(SUBJECT, kind, SMALL)
    assert found.requests > 10
    assert found.lost == 0
    assert found.plain_p50_ms is not None
    assert found.fault_p99_ms is not None
    if kind is Fault.REFUSED:
        assert found.met is None
    else:
        assert found.met is not None
        assert found.met >= 1
        assert found.rescued == found.met + (found.met_later or 0)


async def test_a_stream_that_is_cut_after_content_is_lost() -> None:
    found = await faults.trial(SUBJECT, Fault.CUT, SMALL)
    assert found.lost >= 1
    assert found.rescued == 0
    assert found.attempts_failed == found.lost


async def test_who_gets_no_answer_in_time_is_lost() -> None:
    found = await faults.trial(SUBJECT, Fault.SILENT, SMALL)
    assert found.lost > 10
    assert found.leave_seconds is None


async def test_spells_count_who_serves() -> None:
    found = await faults.spells(SUBJECT, seconds=0.4, count=2, warm=0.1)
    assert found["requests"] > 10
    assert found["changes"] >= 1
    assert found["lost"] == 0


def test_everything_but_providers_and_keys_is_as_by_default(tmp_path: Path) -> None:
    evenkeel(tmp_path, ["http://127.0.0.1:1", "http://127.0.0.1:2"])
    text = (tmp_path / "evenkeel.yaml").read_text("utf-8")
    config = config_file.parse(text, environ={})
    assert config.stability == Config().stability
    assert config.storage == Config().storage
    assert config.telemetry == Config().telemetry
    [route] = config.routes
    assert [each.provider for each in route.targets] == ["first", "second"]
    assert not route.stability
    assert not any(each.stability for each in config.providers.values())
