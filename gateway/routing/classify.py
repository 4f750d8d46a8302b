"""What was this failure? Status, headers and body become a `Verdict`; what follows is `policy`'s.

The order of asking: the operator's own rules, the provider's structured code, words that refine a
status, the status alone. The rows are data in `classes`, the times in `resets`. Bodies come from
outside: nothing here raises for any of them, and no secret leaves in a verdict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from gateway.config import ErrorRule
from gateway.events import Failure, Scope
from gateway.routing import classes
from gateway.routing.excerpt import excerpt_of
from gateway.routing.redaction import redact
from gateway.routing.resets import stated_reset
from gateway.routing.rows import Row, Table
from gateway.routing.told import Told, read, read_plain
from gateway.units import Timestamp
from gateway.wire.adapting import Foreign
from gateway.wire.base import Fault

BODY_READ_MAX = 64 * 1024
"""No provider's error is longer; of a longer body only the start is looked at."""
WORDS_MAX = 4096
"""Characters of the sentence that rows with words are tried on."""
REASON_MAX = 200
MESSAGE_MAX = 500

SCOPES: Mapping[Failure, Scope | None] = {
    Failure.RATE_LIMITED: Scope.CREDENTIAL_MODEL,
    Failure.QUOTA_EXHAUSTED: Scope.CREDENTIAL,
    Failure.AUTH: Scope.CREDENTIAL,
    Failure.OVERLOADED: Scope.TARGET,
    Failure.SERVER_ERROR: Scope.TARGET,
    Failure.CONNECT: Scope.TARGET,
    Failure.RESET_BEFORE_CONTENT: Scope.TARGET,
    Failure.FIRST_CONTENT_TIMEOUT: Scope.TARGET,
    Failure.IDLE_TIMEOUT: Scope.TARGET,
    Failure.BAD_SUCCESS: Scope.TARGET,
    Failure.STREAM_BROKEN: Scope.TARGET,
    Failure.MODEL_NOT_FOUND: Scope.TARGET,
    Failure.UNSUPPORTED: Scope.TARGET,
    Failure.BAD_REQUEST: None,
    Failure.CONTEXT_TOO_LONG: None,
    Failure.CONTENT_POLICY: None,
    Failure.CANCELLED: None,
    Failure.DEADLINE: None,
    Failure.UNKNOWN: Scope.TARGET,
}
"""The smallest thing each failure blames."""

_Found: TypeAlias = tuple[Row, str]
"""A row and the code that led to it; empty where words or the status did."""

LIMITS = frozenset({Failure.RATE_LIMITED, Failure.QUOTA_EXHAUSTED})
WAITABLE = LIMITS | {
    Failure.OVERLOADED,
    Failure.SERVER_ERROR,
    Failure.BAD_SUCCESS,
    Failure.UNKNOWN,
}
"""Where a stated time means something: no wait mends a key, a missing model or a bad request."""

INSIDE_200 = LIMITS | {
    Failure.AUTH,
    Failure.BAD_REQUEST,
    Failure.CONTEXT_TOO_LONG,
    Failure.CONTENT_POLICY,
}
"""What an error inside a 200 may be beside `bad_success`. The client's own faults are among them,
so that one poisonous request does not open the breaker of every target it is sent to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    failure: Failure
    scope: Scope | None
    """What it blames; None if nobody."""
    stated_seconds: float | None
    """From now until the provider says it may be used again; neither clamped nor 0."""
    reason: str
    """The provider's own code or our sub-reason: redacted, at most `REASON_MAX` characters."""
    message: str
    """The provider's sentence for the client: redacted, at most `MESSAGE_MAX` characters."""
    foreign: Foreign | None = None
    """Of a bad request: what another provider left in the history, and this one refuses."""
    excerpt: str = ""
    """Of an unknown failure: how its body begins, redacted, so that somebody may write a rule."""


def classify(
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    vendor: str,
    dialect: str,
    rules: Sequence[ErrorRule],
    now: Timestamp,
    credential_key: str = "",
) -> Verdict:
    """Judges an answer that is not 200. `headers` have lower-case names; `vendor`: of `vendors`."""
    text = body[:BODY_READ_MAX].decode("utf-8", "replace").removeprefix("\ufeff")
    told = read(_parse(text), headers)
    if told.body is None:
        told = read_plain(text, headers, whole=len(body) <= BODY_READ_MAX)
    tables = classes.tables(vendor, dialect)
    asked = _Asked({status}, text, headers, told)
    meant = told.original_status if status == 424 and told.original_status else status
    row, code = _operator(rules, asked) or _find(told, meant, tables)
    verdict = _verdict(
        row,
        reason=row.reason or code or told.own_code or f"http_{status}",
        message=told.message,
        otherwise=f"The provider answered HTTP {status} without a readable error.",
        stated=stated_reset(status, headers, told.body, told.message, now),
        secret=credential_key,
    )
    if row.failure is Failure.UNKNOWN:
        return replace(verdict, excerpt=excerpt_of(text, credential_key))
    return replace(verdict, foreign=_foreign(row, told.message[:WORDS_MAX]))


def classify_fault(
    fault: Fault,
    *,
    headers: Mapping[str, str],
    vendor: str,
    dialect: str,
    rules: Sequence[ErrorRule],
    now: Timestamp,
    credential_key: str = "",
) -> Verdict:
    """Judges a 200 that is no success, as before content; `stream_broken` is the caller's word.

    A numeric code of the inner error counts as a status. What is no limit, no key's and no
    client's fault is `bad_success`.
    """
    told = read(fault.error, headers)
    tables = classes.tables(vendor, dialect)
    text = _dumped(fault.error, told.message) if any(r.body for r in rules) else ""
    ruled = _operator(rules, _Asked({200, told.status or 200}, text, headers, told))
    row, code = ruled or _find(told, told.original_status or told.status, tables)
    if ruled is None and row.failure not in INSIDE_200:
        row = replace(row, failure=Failure.BAD_SUCCESS)
    limited = row.failure in LIMITS
    return _verdict(
        row,
        reason=row.reason or code or told.own_code or fault.reason,
        message=told.message,
        otherwise=f"The provider's answer is no success: {fault.reason}.",
        stated=stated_reset(429 if limited else 200, headers, told.body, told.message, now),
        secret=credential_key,
    )


def _foreign(row: Row, words: str) -> Foreign | None:
    if row.failure is not Failure.BAD_REQUEST:
        return None
    return next((each for each, says in classes.FOREIGN.items() if says.search(words)), None)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an operator's rule may look at."""

    statuses: set[int]
    text: str
    headers: Mapping[str, str]
    told: Told


def _operator(rules: Sequence[ErrorRule], asked: _Asked) -> _Found | None:
    if not rules:
        return None
    lowered = asked.text.lower() if any(rule.body for rule in rules) else ""
    codes = {code.lower() for code in asked.told.codes}
    for rule in rules:
        if (
            rule.status in (None, *asked.statuses)
            and rule.body.lower() in lowered
            and (not rule.code or rule.code.lower() in codes)
            and (not rule.header or _has_header(rule.header, asked.headers))
        ):
            return Row(rule.failure, scope=rule.scope, rest_seconds=rule.rest_seconds), ""
    return None


def _has_header(wanted: str, headers: Mapping[str, str]) -> bool:
    """`name`, or `name: text` that its value contains."""
    name, _, text = wanted.partition(":")
    value = headers.get(name.strip().lower())
    return value is not None and text.strip().lower() in value.lower()


def _find(told: Told, status: int | None, tables: tuple[Table, ...]) -> _Found:
    found = _by_code(told, status, tables)
    if found is None:
        # Without a status words are read as those of a 400: only those cannot be a prompt's.
        found = _by_words(told, 400 if status is None else status, tables)
    if found is None and status is None:
        found = _by_code(told, None, (classes.VAGUE,))
    return found or (_by_status(status), "")


def _by_code(told: Told, status: int | None, tables: tuple[Table, ...]) -> _Found | None:
    words = told.message[:WORDS_MAX]
    for code in told.codes:
        lowered = code.lower()
        for table in tables:
            for row in table:
                if row.names(lowered) and row.holds(status, words):
                    return row, code
    return None


def _by_words(told: Told, status: int, tables: tuple[Table, ...]) -> _Found | None:
    words = told.message[:WORDS_MAX]
    for table in tables:
        for row in table:
            if not row.by_code and row.holds(status, words):
                return row, ""
    return None


def _by_status(status: int | None) -> Row:
    if status is None or 200 <= status <= 299:
        return Row(failure=Failure.BAD_SUCCESS)
    other = Failure.SERVER_ERROR if 500 <= status <= 599 else Failure.UNKNOWN
    return classes.STATUSES.get(status) or Row(failure=other)


def _verdict(
    row: Row, *, reason: str, message: str, otherwise: str, stated: float | None, secret: str
) -> Verdict:
    if row.rest_seconds is not None:
        stated = row.rest_seconds
    # Nothing may be left of a provider's words: then the class and our own sentence stand in.
    return Verdict(
        failure=row.failure,
        scope=row.scope or SCOPES[row.failure],
        stated_seconds=stated if row.failure in WAITABLE else None,
        reason=redact(reason, secret)[:REASON_MAX] or row.failure.value,
        message=(redact(message, secret) or otherwise)[:MESSAGE_MAX],
    )


def _parse(text: str) -> object:
    try:
        return json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        return None


def _dumped(error: Mapping[str, object], otherwise: str) -> str:
    try:
        return json.dumps(error, ensure_ascii=False, default=str)[:BODY_READ_MAX]
    except (ValueError, TypeError, RecursionError):
        return otherwise
