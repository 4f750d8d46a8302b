"""All that is generated: path below the output folder → content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from dashboards import stack
from dashboards.boards import credentials, internals, overview, providers, routing, sessions
from dashboards.grafana import rendered
from dashboards.rules import files as rules

BOARDS = (
    overview.BOARD,
    routing.BOARD,
    providers.BOARD,
    credentials.BOARD,
    sessions.BOARD,
    internals.BOARD,
)
"""From the outside in; each links to all others."""
OUTPUT = Path("grafana")


def files() -> Mapping[str, str]:
    alerting = rules.grafana_rules()
    return {
        **{f"dashboards/{board.uid}.json": _json(rendered(board, BOARDS)) for board in BOARDS},
        "rules/evenkeel-recording.yml": rules.recording_rules(),
        "rules/evenkeel-alerts.yml": rules.alerting_rules(),
        "provisioning/alerting/evenkeel.yml": alerting,
        "native/provisioning/alerting/evenkeel.yml": alerting,
        **stack.files(),
    }


def write(folder: Path) -> list[Path]:
    """Writes what differs, and says what that was."""
    changed = []
    for name, content in files().items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            changed.append(path)
    return changed


def stale(folder: Path) -> Iterator[str]:
    """What differs from what would be written, and what would not be there."""
    wanted = files()
    for name, content in wanted.items():
        path = folder / name
        if not path.exists():
            yield f"{path} is missing"
        elif path.read_text(encoding="utf-8") != content:
            yield f"{path} is not what `python -m dashboards` would write"
    for path in sorted(folder.rglob("*")) if folder.exists() else ():
        if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
            yield f"{path} is no longer written by anything"


def _json(board: dict[str, object]) -> str:
    return json.dumps(board, indent=1, ensure_ascii=False) + "\n"
