"""When a provider says it may be used again: every form in headers, bodies and sentences.

Formats and traps are those of the provider-errors reference, section 3. Whatever makes no sense
(no number, beyond a year) counts as not said; nothing here raises. Clamping is the caller's.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_tz

from gateway.routing.told import OBJECTS_MAX, error_objects, per_day_violation
from gateway.units import MICROS, Timestamp

SOON_SECONDS = 0.001
"""What 0 or a time in the past becomes, and the step to which waits are rounded up: a 290 ms wait
cut to 0 has made floods of retries elsewhere."""
STATED_MAX_SECONDS = 366 * 86_400.0
"""Nobody means more than a year; it is a misread or a joke."""
SKEW_MAX_SECONDS = 86_400.0
"""A `Date` header further from our clock than this is wrong, or ours is not worth correcting."""
TEXT_MAX = 4096
"""Characters of a sentence that are searched."""
VALUE_MAX = 64
"""Longer values are no time."""

LIMIT_STATUSES = frozenset({402, 403, 429, 498, 503})
"""Only here do bucket headers mean a rest: several providers send them with every answer."""
WAIT_KEYS = ("retryDelay", "retry_after", "retry_after_seconds", "retryAfter")
RESET_KEYS = (
    "quotaResetDelay",
    "quotaResetTimeStamp",
    "resets_in_seconds",
    "reset_after_seconds",
    "resets_at",
    "reset_at",
    "reset_time",
    "next_flush_time",
)
ANTHROPIC_BUCKETS = ("requests", "tokens", "input-tokens", "output-tokens")
BUCKET = "x-ratelimit-reset-"
OPENAI_BUCKETS = ("requests", "tokens", "tokens_usage_based")
CHINA_CODES = frozenset({"1308", "1310"})
"""GLM's window limits: the message holds a local time without a zone, taken as UTC+8."""
CHINA = timezone(timedelta(hours=8))

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
UNITS |= {"d": 86_400.0, "w": 604_800.0}
NUMBER = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})")
GO_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ns|us|µs|ms|s|m|h|d)")
GO_DURATION = re.compile(rf"(?:{GO_PART.pattern})+")

_UNIT = (
    r"(?:milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?)"
)
_PART = rf"[0-9]{{1,9}}(?:\.[0-9]{{1,12}})?\s?{_UNIT}(?![a-z])"
TEXT_PART = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,12}})?)\s?({_UNIT})(?![a-z])", re.IGNORECASE)
TEXT_WAIT = re.compile(
    r"\b(?:again|retry(?:ing)?(?: your request)?|resets?|wait|available)\s*:?\s+"
    r"(?:(?:in|after|for|about|another|at least|approximately)\s+){0,3}"
    rf"({_PART}(?:(?:\s|,|and){{0,6}}{_PART}){{0,4}})",
    re.IGNORECASE,
)
_DATE_TIME = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T|\s+at\s+|\s+)([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
    r"(?:\.[0-9]+)?\s?(Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})?"
)
TEXT_DATE = re.compile(
    rf"\b(?:resets?|access|again|retry|available)\b[^0-9]{{0,40}}{_DATE_TIME}", re.IGNORECASE
)
TEXT_ANY_DATE = re.compile(_DATE_TIME, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Clock:
    """What absolute times are measured against."""

    unix: float
    """The provider's own clock if it told us, else ours."""
    zone: tzinfo
    """Of times written without one."""


def stated_reset(
    status: int, headers: Mapping[str, str], body: object, text: str, now: Timestamp
) -> float | None:
    """Seconds from `now` until the provider says it may be used again; None if it does not say.

    Never negative and never 0. `headers` have lower-case names, `body` is parsed JSON or None,
    `text` the provider's sentence. Of an explicit header and a time in the body the later counts;
    buckets and sentences are asked only where neither is there. A per-day violation of Google's
    stands next to a `RetryInfo` of seconds that means nothing: then only a stated window counts,
    and without one None, so that the quota ladder applies. (Midnight Pacific is hearsay.)
    """
    objects = error_objects(body)
    clock = _clock(headers, objects, now)
    if per_day_violation(body):
        return _latest(_time(o.get(key), clock) for o in objects for key in RESET_KEYS)
    told = _latest(iter((_retry_after(headers, clock), _from_body(objects, clock))))
    if told is not None:
        return told
    limited = status in LIMIT_STATUSES
    found = _unified(headers, clock)
    if found is None and limited:
        found = _anthropic_buckets(headers, clock)
    for name in ("x-ratelimit", "ratelimit"):  # The second is the IETF's draft.
        if found is None and limited and _left(headers, f"{name}-remaining") in (None, 0.0):
            found = _time(headers.get(f"{name}-reset"), clock)
    if found is None:
        found = _from_text(text[:TEXT_MAX], clock)
    if found is None and limited:
        found = _buckets(headers, clock)
    return found


def _clock(
    headers: Mapping[str, str], objects: tuple[Mapping[str, object], ...], now: Timestamp
) -> _Clock:
    ours = now / MICROS
    date = _stamp(headers.get("date", ""), UTC)
    sane = date is not None and abs(date - ours) <= SKEW_MAX_SECONDS
    china = any(str(o.get("code")) in CHINA_CODES for o in objects)
    return _Clock(date if date is not None and sane else ours, CHINA if china else UTC)


def _retry_after(headers: Mapping[str, str], clock: _Clock) -> float | None:
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        millis = _number(headers.get(name))
        found = None if millis is None else _tidy(millis / 1000)
        if found is not None:
            return found
    return _time(headers.get("retry-after"), clock)


def _from_body(objects: tuple[Mapping[str, object], ...], clock: _Clock) -> float | None:
    found = [_time(o.get(key), clock) for o in objects for key in WAIT_KEYS + RESET_KEYS]
    for o in objects:  # OpenRouter hands the headers of the provider behind it on in the body.
        passed_on = o.get("headers")
        if isinstance(passed_on, Mapping):
            found += [
                _time(value, clock)
                for name, value in list(passed_on.items())[:OBJECTS_MAX]
                if str(name).lower() in ("retry-after", "x-ratelimit-reset")
            ]
    return _latest(iter(found))


def _unified(headers: Mapping[str, str], clock: _Clock) -> float | None:
    if headers.get("anthropic-ratelimit-unified-status", "").strip().lower() != "rejected":
        return None
    return _time(headers.get("anthropic-ratelimit-unified-reset"), clock)


def _anthropic_buckets(headers: Mapping[str, str], clock: _Clock) -> float | None:
    """The latest reset of the buckets that are empty."""
    return _latest(
        _time(headers.get(f"anthropic-ratelimit-{name}-reset"), clock)
        for name in ANTHROPIC_BUCKETS
        if _left(headers, f"anthropic-ratelimit-{name}-remaining") == 0
    )


def _buckets(headers: Mapping[str, str], clock: _Clock) -> float | None:
    """An upper bound: these say when a bucket is *full* again. Azure's 0 and -1 say nothing.

    Whatever the buckets are called: `requests`, `tokens`, Cerebras' `tokens-minute`.
    """
    empty = (
        value
        for name, value in headers.items()
        if name.startswith(BUCKET)
        and _left(headers, f"x-ratelimit-remaining-{name.removeprefix(BUCKET)}") == 0
    )
    return _latest(_time(v, clock) for v in empty if (n := _number(v)) is None or n > 0)


def _from_text(text: str, clock: _Clock) -> float | None:
    found = [_tidy(_spoken(wait.group(1))) for wait in TEXT_WAIT.finditer(text)]
    dates = TEXT_DATE if clock.zone is UTC else TEXT_ANY_DATE
    for match in dates.finditer(text):
        day, hour, zone = match.groups()
        zone = "+00:00" if (zone or "").upper() in ("Z", "UTC", "GMT") else zone or ""
        found.append(_time(f"{day}T{hour}{zone}", clock))
    return _latest(iter(found))


def _spoken(duration: str) -> float:
    """Seconds of `2 hours and 5 minutes` or `156h14m36s`."""
    return sum(float(n) * _unit(word.lower()) for n, word in TEXT_PART.findall(duration))


def _unit(word: str) -> float:
    millis = word.startswith(("ms", "milli"))
    return UNITS["ms"] if millis else UNITS[word[0]]


def _left(headers: Mapping[str, str], name: str) -> float | None:
    return _number(headers.get(name))


def _latest(found: Iterator[float | None]) -> float | None:
    return max((seconds for seconds in found if seconds is not None), default=None)


def _time(value: object, clock: _Clock) -> float | None:
    """Any one value: seconds from now, epoch s or ms by magnitude, a Go duration, a date."""
    number = _number(value)
    if number is not None:
        if number > 1e12:
            return _tidy(number / 1000 - clock.unix)
        return _tidy(number - clock.unix if number > 1e9 else number)
    if not isinstance(value, str) or len(value) > VALUE_MAX:
        return None
    if GO_DURATION.fullmatch(value.strip()):
        return _tidy(sum(float(n) * UNITS[unit] for n, unit in GO_PART.findall(value)))
    stamp = _stamp(value, clock.zone)
    return None if stamp is None else _tidy(stamp - clock.unix)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        if len(value) > VALUE_MAX or not NUMBER.fullmatch(value.strip()):
            return None
        return float(value)
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _stamp(text: str, zone: tzinfo) -> float | None:
    """Unix seconds of an ISO 8601 or HTTP date (all three standard forms of the latter)."""
    if not text or len(text) > VALUE_MAX:
        return None
    try:
        parsed = datetime.fromisoformat(text.strip())
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        parts = parsedate_tz(text)
        if parts is None:
            return None
        return calendar.timegm((*parts[:6], 0, 0, 0)) - float(parts[9] or 0)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _tidy(seconds: float) -> float | None:
    if seconds <= 0:
        return SOON_SECONDS
    if not seconds <= STATED_MAX_SECONDS:
        return None
    # The inner round takes off what binary fractions add: 1.1 s are 1100 ms, not 1101.
    return max(SOON_SECONDS, math.ceil(round(seconds * 1000, 3)) / 1000)
