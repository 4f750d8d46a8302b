"""How long one request and each of its attempts may take. Functions of configuration and facts."""

from __future__ import annotations

from msgspec import Struct

from gateway.config import Stability, Timeouts

SINGLE_ANSWER_SECONDS = 600.0
"""A single answer's first content is its last byte, so the clocks to first content that keep their
defaults are this long for it; a clock the operator set is obeyed for both kinds."""

REASONING_CONTENT_SECONDS = 120.0
REASONING_IDLE_SECONDS = 120.0
REASONING_DEADLINE_SECONDS = 180.0
"""For a request that thinks first, again where the operator set nothing else."""
LEASE_SLACK_SECONDS = 5.0
"""A probe is decided by its clock to first content, and a little later at most."""

_DEFAULT_HEADERS_SECONDS = Timeouts().headers_seconds
_DEFAULT_CONTENT_SECONDS = Timeouts().first_content_seconds
_DEFAULT_IDLE_SECONDS = Timeouts().idle_seconds
_DEFAULT_DEADLINE_SECONDS = Stability().deadline_seconds


class Clocks(Struct, frozen=True, gc=False):
    """The four clocks of one attempt, as `Timeouts` names them."""

    connect_seconds: float
    headers_seconds: float
    first_content_seconds: float
    idle_seconds: float


def deadline_seconds(
    stability: Stability, *, stream: bool, reasoning: bool = False, asked: float | None = None
) -> float:
    """From the request's start to its first content, all attempts together.

    `asked`: the client's own deadline, which only shortens it.
    """
    own = _own_deadline_seconds(stability, stream=stream, reasoning=reasoning)
    return own if asked is None else min(own, asked)


def deadline_words(seconds: float, *, asked: float | None) -> str:
    """Whose deadline has passed."""
    whose = "the client's own deadline" if seconds == asked else "the deadline"
    return f"{whose} of {seconds:g} s"


def _own_deadline_seconds(stability: Stability, *, stream: bool, reasoning: bool) -> float:
    seconds = stability.deadline_seconds
    if seconds != _DEFAULT_DEADLINE_SECONDS:
        return seconds
    if not stream:
        return SINGLE_ANSWER_SECONDS
    return REASONING_DEADLINE_SECONDS if reasoning else seconds


def attempt_timeouts(
    own: Timeouts,
    *,
    stream: bool,
    left: float,
    reasoning: bool = False,
    model_seconds: float | None = None,
    probe_seconds: float | None = None,
) -> tuple[Clocks, bool]:
    """The attempt's four clocks: the provider's own, cut by the `left` seconds of the deadline.

    True beside them: the cut falls into the clock to first content, whose end blames nobody then.
    `model_seconds` to the first content stand for the provider's own, and no other rule changes them.
    `probe_seconds` is the tighter limit of a probe of a stream: there is somebody else to serve it.
    """
    headers, content, idle = own.headers_seconds, own.first_content_seconds, own.idle_seconds
    if not stream:
        headers = _longer(headers, _DEFAULT_HEADERS_SECONDS, SINGLE_ANSWER_SECONDS)
        content = _longer(content, _DEFAULT_CONTENT_SECONDS, SINGLE_ANSWER_SECONDS)
    elif reasoning:
        headers = _longer(headers, _DEFAULT_HEADERS_SECONDS, REASONING_CONTENT_SECONDS)
        content = _longer(content, _DEFAULT_CONTENT_SECONDS, REASONING_CONTENT_SECONDS)
        idle = _longer(idle, _DEFAULT_IDLE_SECONDS, REASONING_IDLE_SECONDS)
    elif probe_seconds is not None:
        headers, content = min(headers, probe_seconds), min(content, probe_seconds)
    if model_seconds is not None:
        # Who may be slow with the first content may be as slow with what comes before it.
        headers = content = model_seconds
    connect, cut = own.connect_seconds, left < content
    if cut:
        content = left
    return Clocks(
        min(connect, left),
        min(headers, content),
        content,
        idle,
    ), cut


def _longer(seconds: float, default: float, instead: float) -> float:
    return instead if seconds == default else seconds
