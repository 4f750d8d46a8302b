"""How long one request and each of its attempts may take. Functions of configuration and facts."""

from __future__ import annotations

from gateway.config import Stability, Timeouts

SINGLE_ANSWER_SECONDS = 600.0
"""A single answer's first content is its last byte, so the clocks to first content that keep their
defaults are this long for it; a clock the operator set is obeyed for both kinds."""

_DEFAULT_TIMEOUTS = Timeouts()
_DEFAULT_DEADLINE_SECONDS = Stability().deadline_seconds


def deadline_seconds(stability: Stability, *, stream: bool) -> float:
    """From the request's start to its first content, all attempts together."""
    if stream:
        return stability.deadline_seconds
    return _single(stability.deadline_seconds, _DEFAULT_DEADLINE_SECONDS)


def attempt_timeouts(own: Timeouts, *, stream: bool, left: float) -> tuple[Timeouts, bool]:
    """The attempt's four clocks: the provider's own, cut by the `left` seconds of the deadline.

    True beside them: the cut falls into the clock to first content, whose end blames nobody then.
    """
    headers, content = own.headers_seconds, own.first_content_seconds
    if not stream:
        headers = _single(headers, _DEFAULT_TIMEOUTS.headers_seconds)
        content = _single(content, _DEFAULT_TIMEOUTS.first_content_seconds)
    clocks = Timeouts(
        connect_seconds=min(own.connect_seconds, left),
        headers_seconds=min(headers, left),
        first_content_seconds=min(content, left),
        idle_seconds=own.idle_seconds,
    )
    return clocks, left < content


def _single(seconds: float, default: float) -> float:
    return SINGLE_ANSWER_SECONDS if seconds == default else seconds
