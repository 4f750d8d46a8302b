"""Rows of a history, and what a replay reads from them, for the tests of replays."""

from __future__ import annotations

from typing import Any

from gateway import config_file
from gateway.config import Config, Provider
from gateway.replay.recorded import Recorded, read
from gateway.units import MICROS, Timestamp

SINCE = Timestamp(1_770_000_000 * MICROS)
UNTIL = Timestamp(SINCE + 3600 * MICROS)


def at(seconds: float) -> int:
    return SINCE + round(seconds * MICROS)


def attempt(seconds: float, target: str = "a/model", **changes: Any) -> dict[str, Any]:
    """A row of `attempts`: an answer that came at once and took a second."""
    provider, _, model = target.partition("/")
    row: dict[str, Any] = {
        "request_id": f"r{seconds:g}",
        "attempt_id": "x.1",
        "n": 1,
        "provider": provider,
        "model": model,
        "credential": "main",
        "outcome": "ok",
        "failure": None,
        "reason": "",
        "status": 200,
        "scope": None,
        "stated_seconds": None,
        "started": at(seconds),
        "duration_seconds": 1.0,
        "first_content_seconds": 0.5,
        "changes": "",
    }
    return {**row, **changes}


def failed(seconds: float, target: str = "a/model", **changes: Any) -> dict[str, Any]:
    row = {
        "outcome": "failed",
        "failure": "overloaded",
        "reason": "529",
        "status": 529,
        "scope": "target",
        "duration_seconds": 0.1,
        "first_content_seconds": None,
    }
    return attempt(seconds, target, **{**row, **changes})


def request(seconds: float, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "request_id": f"r{seconds:g}",
        "trace_id": "0" * 32,
        "route": "coder",
        "requested_model": "coder",
        "session": "",
        "client": "",
        "endpoint": "/v1/chat/completions",
        "stream": True,
        "outcome": "ok",
        "started": at(seconds),
        "duration_seconds": 1.0,
        "overhead_seconds": 0.0,
        "input_tokens": 10,
        "cached_tokens": None,
        "output_tokens": 5,
        "bytes_received": 40,
        "config_version": "v1",
    }
    return {**row, **changes}


def recorded(
    requests: list[dict[str, Any]],
    attempts: list[dict[str, Any]],
    *,
    switches: list[dict[str, Any]] | None = None,
    events: list[dict[str, Any]] | None = None,
) -> Recorded:
    return read(
        since=SINCE,
        until=UNTIL,
        requests=requests,
        attempts=attempts,
        switches=switches or [],
        events=events or [],
    )


def config(*targets: str) -> Config:
    """One route over these, whose providers have one key each."""
    names = dict.fromkeys(target.partition("/")[0] for target in targets)
    text = "".join(
        f"  {name}: {{dialect: simulated, credentials: [{{name: main}}]}}\n" for name in names
    )
    listed = ", ".join(targets)
    whole = f"providers:\n{text}routes:\n  - {{name: coder, targets: [{listed}]}}\n"
    return config_file.parse(whole, environ={}, name="test.yaml")


def speaks(provider: Provider, client: str) -> bool:
    return True
