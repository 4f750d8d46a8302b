"""Small scenarios for the tests of dry runs."""

from __future__ import annotations

from dataclasses import replace

from gateway.dry_run import reading
from gateway.dry_run.scenario import Script

TEXT = """
description: The primary is down for five minutes.
duration_seconds: 1800
traffic:
  - {sessions: 3, turn_seconds: 10}
config:
  providers:
    primary:
      dialect: simulated
      credentials: [{name: main}, {name: spare}]
      simulated:
        answer_tokens: 2
        weather: [{for_seconds: 600}, {for_seconds: 300, failure: server_error}, {for_seconds: 0}]
    backup:
      dialect: simulated
      credentials: [{name: main}]
      simulated: {answer_tokens: 2}
  routes:
    - {name: coder, targets: [primary/large, backup/large]}
expect: {failed: 0}
"""


def script(*changes: tuple[str, str]) -> Script:
    """The scenario with each `old` text replaced by `new`."""
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return reading.parse(text, name="small")


def lasting(made: Script, seconds: float) -> Script:
    return replace(made, scenario=replace(made.scenario, duration_seconds=seconds))
