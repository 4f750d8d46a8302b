"""Whatever a provider sends: classifying ends, stays in its closed sets, and leaks nothing.

Larger runs than the properties beside the modules: about half a minute in all. `-s` shows how many
examples were run; `--hypothesis-seed` repeats a run.
"""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ErrorRule, Stability
from gateway.events import Failure, Scope
from gateway.routing.classes import VENDORS
from gateway.routing.classify import (
    BODY_READ_MAX,
    MESSAGE_MAX,
    REASON_MAX,
    SCOPES,
    WAITABLE,
    Verdict,
    classify,
    classify_fault,
)
from gateway.routing.excerpt import EXCERPT_MAX, excerpt_of
from gateway.routing.policy import stated_rest
from gateway.routing.redaction import redact
from gateway.routing.resets import SOON_SECONDS, STATED_MAX_SECONDS, stated_reset
from gateway.routing.told import CODES_MAX, read
from gateway.units import MICROS, Timestamp
from gateway.wire.base import Fault
from tests.fuzzing import fuzz

NOW = Timestamp(1_795_435_200 * MICROS)
SECRET = "q7Zt9LmX2cVb4NsW"
FUZZ = fuzz(250)
RUN: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def told() -> Iterator[None]:
    yield
    print("\nexamples run:", dict(RUN))  # noqa: T201 - for whoever asks with -s


CODES = sorted({code for table in VENDORS.values() for row in table for code in row.codes})
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 1e308, 2**63, 1_795_435_230, 1_795_435_230_000, 0.29])
)
TIMES = st.one_of(
    NUMBERS,
    NUMBERS.map(str),
    st.from_regex(r"\A([0-9]{1,3}(h|m|s|ms|d)){1,4}\Z"),
    st.from_regex(
        r"\A20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|\+0[0-9]:00)?\Z"
    ),
    st.from_regex(r"\A(Mon|Wed), [0-3][0-9] (Oct|Nov) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\Z"),
    st.text(max_size=70),
)
SENTENCES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "Please try again in",
                "quota will reset after",
                "wait",
                "6m0s",
                "58 hours",
                "2 hours and 5 minutes",
                "limit: 0",
                "per day",
                "insufficient balance",
                "maximum context length",
                "model",
                "not found",
                "overloaded",
                "Bearer",
                "key=",
                "jane@example.com",
                SECRET,
                "<",
                "\u202e",
                "\ud800",
            ]
        ),
        TIMES.map(str),
        st.text(max_size=30),
    ),
    max_size=8,
).map(" ".join)
KEYS = st.sampled_from(
    [
        "error",
        "message",
        "code",
        "type",
        "status",
        "details",
        "metadata",
        "reason",
        "violations",
        "quotaId",
        "retryDelay",
        "response",
        "resets_at",
        "reset_at",
        "reset_time",
        "retry_after",
        "quotaResetDelay",
        "quotaResetTimeStamp",
        "resets_in_seconds",
        "headers",
        "provider_name",
        "flagged_input",
        "error_code",
        "innererror",
        "detail",
        "msg",
        "__type",
        "limit_source",
        "error_type",
        "originalStatusCode",
        "error_description",
        "title",
        "object",
        "choices",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | TIMES | SENTENCES | st.sampled_from(CODES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=7)
HEADER_NAMES = [
    "retry-after",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "date",
    "content-type",
    "x-should-retry",
    "x-ratelimit-reset",
    "x-ratelimit-remaining",
    "ratelimit-reset",
    "ratelimit-remaining",
    "x-amzn-errortype",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-remaining-requests",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-unified-status",
    "anthropic-ratelimit-unified-reset",
    "x-own",
]
HEADERS = st.dictionaries(
    st.sampled_from(HEADER_NAMES),
    TIMES.map(str) | SENTENCES | st.sampled_from(["rejected", "0", "text/html", *CODES[:5]]),
    max_size=8,
)
PIECES = st.sampled_from(
    [
        b"[",
        b'{"error":',
        b"<",
        b"<script",
        b"a@",
        b"key=",
        b"sk-",
        b"9",
        b"\xff",
        b" ",
        b"*",
        b"model ",
    ]
)
BODIES = st.one_of(
    OBJECTS.map(lambda each: json.dumps(each).encode()),
    st.lists(OBJECTS, max_size=2).map(lambda each: json.dumps(each).encode()),
    OBJECTS.map(lambda each: json.dumps(each).encode()[:-3]),
    SENTENCES.map(lambda each: each.encode("utf-8", "replace")),
    st.binary(max_size=300),
    st.tuples(PIECES, st.integers(1, 90_000)).map(lambda each: each[0] * each[1]),
)
STATUSES = st.sampled_from([400, 401, 402, 403, 404, 408, 413, 422, 424, 429, 498, 500, 503, 529])
STATUSES = STATUSES | st.integers(100, 999)
SCOPED = st.sampled_from([None, *Scope])
RULES = st.lists(
    st.builds(
        ErrorRule,
        failure=st.sampled_from(list(Failure)),
        status=st.none() | STATUSES,
        code=st.sampled_from(["", *CODES[:20]]),
        header=st.sampled_from(["", "x-own", "x-own: a", "retry-after: 1"]),
        body=st.sampled_from(["", "limit", "ERROR"]),
        scope=SCOPED,
        rest_seconds=st.none() | st.floats(0.001, 1e6),
    ),
    max_size=2,
).map(tuple)
WHO = {
    "vendor": st.sampled_from(["", "nobody", *VENDORS]),
    "dialect": st.sampled_from(["openai", "anthropic", "gemini", "code_assist", "responses", ""]),
}


def assert_sound(got: Verdict, *, ruled: bool) -> None:
    assert isinstance(got.failure, Failure)
    assert got.scope is None or isinstance(got.scope, Scope)
    if not ruled and got.scope != SCOPES[got.failure]:
        assert got.scope in (Scope.CREDENTIAL_MODEL, Scope.PROVIDER)
    assert 0 < len(got.reason) <= REASON_MAX
    assert 0 < len(got.message) <= MESSAGE_MAX
    assert len(got.excerpt) <= EXCERPT_MAX
    assert not got.excerpt or got.failure is Failure.UNKNOWN
    shown = got.reason + got.message + got.excerpt
    assert SECRET not in shown
    assert shown.isprintable()
    if got.stated_seconds is not None:
        assert got.failure in WAITABLE
        assert SOON_SECONDS <= got.stated_seconds <= max(STATED_MAX_SECONDS, 1e6)
        limits = Stability()
        rest = stated_rest(got.stated_seconds, limits, 0.999)
        assert limits.stated_min_seconds <= rest <= limits.stated_max_seconds + 2.0


@FUZZ
@given(status=STATUSES, headers=HEADERS, body=BODIES, rules=RULES, **WHO)
def test_any_answer_is_classified(
    status: int, headers: dict[str, str], body: bytes, rules: Any, vendor: str, dialect: str
) -> None:
    RUN["classify"] += 1
    got = classify(
        status=status,
        headers=headers,
        body=body,
        vendor=vendor,
        dialect=dialect,
        rules=rules,
        now=NOW,
        credential_key=SECRET,
    )
    assert_sound(got, ruled=bool(rules))


@FUZZ
@given(error=OBJECTS, headers=HEADERS, rules=RULES, **WHO)
def test_any_failure_inside_a_200_is_classified(
    error: dict[str, Any], headers: dict[str, str], rules: Any, vendor: str, dialect: str
) -> None:
    RUN["classify_fault"] += 1
    got = classify_fault(
        Fault(reason="error_event", error=error),
        headers=headers,
        vendor=vendor,
        dialect=dialect,
        rules=rules,
        now=NOW,
        credential_key=SECRET,
    )
    assert_sound(got, ruled=bool(rules))
    if not rules:
        assert got.failure is not Failure.UNKNOWN


@FUZZ
@given(status=STATUSES, headers=HEADERS, body=VALUES, text=SENTENCES)
def test_any_time_is_a_wait_or_nothing(
    status: int, headers: dict[str, str], body: object, text: str
) -> None:
    RUN["stated_reset"] += 1
    seconds = stated_reset(status, headers, body, text, NOW)
    assert seconds is None or SOON_SECONDS <= seconds <= STATED_MAX_SECONDS


@FUZZ
@given(body=VALUES, headers=HEADERS)
def test_what_is_told_is_bounded_and_forges_no_mark(body: object, headers: dict[str, str]) -> None:
    RUN["read"] += 1
    found = read(body, headers)
    assert len(found.codes) <= CODES_MAX + 2
    assert found.status is None or 100 <= found.status <= 599
    assert found.original_status is None or 100 <= found.original_status <= 599


@FUZZ
@given(text=SENTENCES, again=st.integers(1, 400))
def test_no_secret_is_shown(text: str, again: int) -> None:
    RUN["redact"] += 1
    for shown in (redact(text * again, SECRET), excerpt_of(text * again, SECRET)):
        assert SECRET not in shown
        assert "jane@example.com" not in shown
        assert shown.isprintable()


@pytest.mark.parametrize("piece", [b'{"error":"', b"[", b"<a ", b"9", b"try again in 1h "])
def test_of_a_huge_body_only_the_start_is_held(piece: bytes) -> None:
    body = piece * (16 * 1024 * 1024 // len(piece))
    tracemalloc.start()
    try:
        classify(
            status=418,
            headers={},
            body=body,
            vendor="",
            dialect="openai",
            rules=(),
            now=NOW,
        )
        assert tracemalloc.get_traced_memory()[1] < 64 * BODY_READ_MAX
    finally:
        tracemalloc.stop()
