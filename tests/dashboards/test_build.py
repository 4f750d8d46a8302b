from __future__ import annotations

import json
from pathlib import Path

from dashboards.build import OUTPUT, files, stale, write

ROOT = Path(__file__).parents[2]


def test_what_is_committed_is_what_would_be_written() -> None:
    assert list(stale(ROOT / OUTPUT)) == []


def test_files_are_written_once_and_a_difference_is_told(tmp_path: Path) -> None:
    assert len(write(tmp_path)) == len(files())
    assert write(tmp_path) == []
    board = next(tmp_path.rglob("*.json"))
    json.loads(board.read_text())
    board.write_text("{}")
    (tmp_path / "rules" / "own.yml").write_text("")
    next(tmp_path.rglob("tempo.yml")).unlink()
    told = " ".join(stale(tmp_path))
    for sign in ("is not what", "is missing", "no longer written"):
        assert sign in told
