from __future__ import annotations

from pathlib import Path

from gateway import config_file
from gateway.config import Config
from tests.benchmarks.faulty import Fault
from tests.benchmarks.rescuing import ours, rescues, with_routes


async def test_each_route_of_ours_is_rescued_once() -> None:
    subject, models = ours(50.0, 0.8)
    found = await rescues(subject, models, Fault.ERROR, seconds=0.8, warm=0.2)
    assert found["lost"] == 0
    assert found["rescued"] is not None
    assert 0 < found["rescued"] <= len(models) / 2


def test_routes_have_targets_of_their_own_and_the_defaults(tmp_path: Path) -> None:
    with_routes(3, tmp_path, ["http://127.0.0.1:1", "http://127.0.0.1:2"])
    text = (tmp_path / "evenkeel.yaml").read_text("utf-8")
    config = config_file.parse(text, environ={})
    assert config.stability == Config().stability
    assert [each.name for each in config.routes] == ["bench-0", "bench-1", "bench-2", "plain"]
    targets = [target.target for each in config.routes for target in each.targets]
    assert len(set(targets)) == len(targets) == 7
