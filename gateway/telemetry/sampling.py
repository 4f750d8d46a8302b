"""Which requests' spans are kept: a share of all, decided by the trace id, and all that are telling.

A request that failed, was rescued, was served by another target or took long is always kept; so are
those at which a route switched, a cooldown began or a probe ran, which only their events tell.
"""

from __future__ import annotations

from typing import Final

from gateway.config import Telemetry
from gateway.events import AttemptFinished, AttemptOutcome, RequestFinished, RequestOutcome

TRACE_ID_BITS: Final = (1 << 64) - 1
"""The half of a trace id that decides, as in OpenTelemetry's own ratio sampler."""
TRACE_ID_DIGITS: Final = 16
FAULTS: Final = (RequestOutcome.UPSTREAM_ERROR, RequestOutcome.EXHAUSTED, RequestOutcome.SHED)
"""Outcomes that are an error of the gateway's side; a client's own are not."""


class Sampling:
    """Every replica with the same settings decides alike."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._bound = round(telemetry.trace_sample_ratio * (TRACE_ID_BITS + 1))
        self._slow = telemetry.trace_slow_seconds

    def by_id(self, trace_id: str) -> bool:
        """Of the share. `trace_id`: 32 hexadecimal digits."""
        return int(trace_id[-TRACE_ID_DIGITS:], 16) < self._bound

    def request(self, request: RequestFinished) -> bool:
        if self.by_id(request.trace_id) or request.duration_seconds >= self._slow:
            return True
        if request.outcome in FAULTS:
            return True
        served = request.outcome is RequestOutcome.OK
        return served and (request.failure is not None or bool(request.fallback_from))

    def attempt(self, attempt: AttemptFinished) -> bool:
        """Whether its request is sure to be kept, as far as this attempt tells."""
        telling = attempt.probe or attempt.outcome is AttemptOutcome.FAILED
        return telling or self.by_id(attempt.trace_id)
