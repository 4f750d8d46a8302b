"""Every candidate's part in a refusal: attempts first, then those passed over."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.events import SkipReason
from gateway.routing.answer import LIMITS, Part
from gateway.routing.choosing import Skip
from gateway.routing.readiness import credential_ready_in, ready_in
from gateway.routing.record import Attempt
from gateway.routing.resting import POOL_WIDE
from gateway.units import Instant


def parts(attempts: Sequence[Attempt], skips: Sequence[Skip], now: Instant) -> tuple[Part, ...]:
    """One part for each candidate; a whole target's only where none of its credentials has one."""
    listed: dict[tuple[str, str], Part] = {}
    for attempt in attempts:
        if attempt.bad is not None:
            target, credential = attempt.candidate.key
            listed[target, credential] = Part(
                target=target,
                credential=credential,
                reason=attempt.bad.failure.value,
                ready_in_seconds=credential_ready_in(
                    attempt.candidate.target, attempt.candidate.credential, now
                ),
                message=attempt.bad.message,
            )
    tried = {target for target, _ in listed}
    for skip in skips:
        key = (skip.hop.target.name, skip.credential)
        if key not in listed and (skip.credential or key[0] not in tried):
            listed[key] = Part(
                target=key[0],
                credential=key[1],
                reason=skip.cause or skip.reason.value,
                ready_in_seconds=_ready(skip, now),
                message=skip.message,
                limit=skip.cause == POOL_WIDE and skip.hop.target.provider.guard.last in LIMITS,
            )
    return tuple(listed.values())


def _ready(skip: Skip, now: Instant) -> float | None:
    if skip.reason is SkipReason.ATTEMPTS_SPENT:
        return ready_in(skip.hop, now)
    return None if skip.until is None else max(0.0, skip.until - now)
