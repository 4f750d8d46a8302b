"""An hour of a provider that works and fails in turn, a hundred requests a second, in virtual time.

The gateway's own core and relay with the defaults of its configuration, as `evenkeel dry-run` plays
them; `python -m tests.benchmarks.switching [NAME]…` takes minutes and prints each hour as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import pairwise

from gateway.dry_run.reading import parse
from gateway.dry_run.scenario import Script
from gateway.dry_run.stage import play
from gateway.events import Event, RequestFinished, RequestOutcome

HOUR_SECONDS = 3600.0
PER_SECOND = 100.0
HOURS = {
    "5 min ok, 5 min 500": "[{for_seconds: 300}, {for_seconds: 300, failure: server_error}]",
    "1 min ok, 1 min 500": "[{for_seconds: 60}, {for_seconds: 60, failure: server_error}]",
    "30 s ok, 30 s 500": "[{for_seconds: 30}, {for_seconds: 30, failure: server_error}]",
    "every second request 500": "[{failure: server_error, every: 2}]",
    "one fault of 20 s": "[{for_seconds: 60}, {for_seconds: 20, failure: server_error}, {}]",
}
"""The weather of the first of two providers; the other one is always well."""
SCENARIO = """\
duration_seconds: {seconds}
traffic: [{{requests_per_minute: {per_minute}, stream_share: 0}}]
config:
  providers:
    first:
      dialect: simulated
      credentials: [{{name: one}}]
      simulated: {{first_token_seconds: 0.05, answer_tokens: 4, weather: {weather}}}
    second:
      dialect: simulated
      credentials: [{{name: one}}]
      simulated: {{first_token_seconds: 0.05, answer_tokens: 4}}
  routes: [{{name: bench, targets: [first/model-0, second/model-1]}}]
"""


def script(name: str, *, seconds: float = HOUR_SECONDS, per_second: float = PER_SECOND) -> Script:
    text = SCENARIO.format(seconds=seconds, per_minute=per_second * 60, weather=HOURS[name])
    return parse(text, name=name)


class Changes:
    """How often an answer comes from another provider than the answer to the request before."""

    def __init__(self) -> None:
        self._served: list[tuple[int, str]] = []

    def hear(self, event: Event) -> None:
        if isinstance(event, RequestFinished) and event.outcome is RequestOutcome.OK:
            self._served.append((event.started, event.provider))

    def count(self) -> int:
        order = [provider for _, provider in sorted(self._served)]
        return sum(one != other for one, other in pairwise(order))


def hour(
    name: str, *, seconds: float = HOUR_SECONDS, per_second: float = PER_SECOND
) -> dict[str, float | None]:
    changes = Changes()
    played = play(
        script(name, seconds=seconds, per_second=per_second), timeline=False, hear=changes.hear
    )
    found = played.figures
    return {
        "per_second": per_second,
        "seconds": seconds,
        "requests": found.requests,
        "lost": found.failed + found.broken,
        "attempts_failed": found.wasted_attempts,
        "changes": changes.count(),
        "switches": found.switches,
        "returns": found.returns,
        "leave_seconds": found.time_to_leave_seconds,
        "return_seconds": found.time_to_return_seconds,
        "first_provider_share": found.primary_share,
    }


def main(names: Sequence[str]) -> None:
    for name in names or HOURS:
        found = hour(name)
        sys.stdout.write(f"{json.dumps({name: found})}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
