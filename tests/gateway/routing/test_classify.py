"""Answers in, verdicts out: the table of cases, then the rules the table cannot show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ErrorRule
from gateway.events import Failure, Scope
from gateway.routing.classify import (
    BODY_READ_MAX,
    MESSAGE_MAX,
    REASON_MAX,
    SCOPES,
    Verdict,
    classify,
    classify_fault,
)
from gateway.routing.vendors import by_name
from gateway.units import MICROS, Timestamp
from gateway.wire.adapting import Foreign
from gateway.wire.base import Fault

NOW = Timestamp(1_795_435_200 * MICROS)  # 2026-11-23 12:00:00 UTC
CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
SECRET = "q7Zt9LmX2cVb4NsW"


def verdict(
    status: int,
    body: object = "",
    *,
    headers: Mapping[str, str] | None = None,
    provider: str = "openai",
    dialect: str = "openai",
    rules: tuple[ErrorRule, ...] = (),
) -> Verdict:
    if isinstance(body, bytes):
        raw = body
    else:
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
    return classify(
        status=status,
        headers=headers or {},
        body=raw,
        vendor=by_name(provider),
        dialect=dialect,
        rules=rules,
        now=NOW,
        credential_key=SECRET,
    )


def fault(
    reason: str,
    error: Mapping[str, Any] | None = None,
    *,
    provider: str = "openai",
    dialect: str = "openai",
    rules: tuple[ErrorRule, ...] = (),
) -> Verdict:
    return classify_fault(
        Fault(reason=reason, error=error or {}),
        headers={},
        vendor=by_name(provider),
        dialect=dialect,
        rules=rules,
        now=NOW,
        credential_key=SECRET,
    )


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{c['source']}: {c['id']}") for c in CASES])
def test_an_answer_gets_its_class_scope_and_stated_time(case: dict[str, Any]) -> None:
    got = verdict(
        case["status"],
        case["body"],
        headers=case["headers"],
        provider=case["provider"],
        dialect=case["dialect"],
    )
    assert (got.failure, got.scope) == (case["failure"], case["scope"])
    assert got.stated_seconds == case["stated"]
    assert got.reason == case.get("reason", got.reason)


SECTIONS = {f"provider-errors {section}" for section in ("1", "2.3", "2.5", "2.6", "3")}
SECTIONS |= {f"provider-errors 4.{n}" for n in range(1, 10)}
NAMED = """openai azure anthropic gemini vertex code-assist bedrock mistral groq cohere deepseek xai
openrouter together fireworks cerebras nvidia ollama vllm copilot github dashscope moonshot glm"""


def test_the_table_is_large_and_each_row_names_its_source() -> None:
    assert len(CASES) >= 400
    assert len({case["id"] for case in CASES}) == len(CASES)
    others = {case["source"] for case in CASES} - SECTIONS
    assert others == {"decision: undocumented statuses and shapes", "user-needs N12"}


@pytest.mark.parametrize("provider", NAMED.split())
def test_each_provider_has_its_rows(provider: str) -> None:
    own = [case for case in CASES if case["provider"] == provider]
    assert len(own) >= 2
    assert len({case["failure"] for case in own}) >= 2
    assert by_name(provider)


def test_every_failure_has_a_scope() -> None:
    assert set(SCOPES) == set(Failure)


def test_an_operators_rule_comes_before_everything() -> None:
    rules = (
        ErrorRule(failure=Failure.OVERLOADED, status=429, body="Try LATER"),
        ErrorRule(failure=Failure.QUOTA_EXHAUSTED, status=418),
        ErrorRule(failure=Failure.AUTH, body="go away"),
    )
    limited = {"error": {"code": "rate_limit_exceeded", "message": "please try later"}}
    assert verdict(429, limited, rules=rules).failure is Failure.OVERLOADED
    assert verdict(429, limited, rules=rules).reason == "rate_limit_exceeded"
    assert verdict(418, rules=rules).scope is Scope.CREDENTIAL
    assert verdict(500, "Go Away", rules=rules).failure is Failure.AUTH
    assert verdict(429, rules=rules).failure is Failure.RATE_LIMITED


def test_an_operators_rule_may_look_for_a_code_or_a_header() -> None:
    rules = (
        ErrorRule(failure=Failure.OVERLOADED, code="Queue_Full"),
        ErrorRule(failure=Failure.QUOTA_EXHAUSTED, header="X-Plan: trial"),
        ErrorRule(failure=Failure.AUTH, header="x-banned"),
    )
    full = {"error": {"code": "queue_full", "message": "x"}}
    assert verdict(400, full, rules=rules).failure is Failure.OVERLOADED
    plan = {"x-plan": "Trial of 2026"}
    assert verdict(400, headers=plan, rules=rules).failure is Failure.QUOTA_EXHAUSTED
    assert verdict(400, headers={"x-plan": "paid"}, rules=rules).failure is Failure.BAD_REQUEST
    assert verdict(400, headers={"x-banned": ""}, rules=rules).failure is Failure.AUTH
    quoted = {"error": {"message": "queue_full"}}
    assert verdict(400, quoted, rules=rules).failure is Failure.BAD_REQUEST


def test_an_operators_rule_may_say_how_long() -> None:
    rules = (ErrorRule(failure=Failure.RATE_LIMITED, status=420, rest_seconds=90.0),)
    assert verdict(420, rules=rules).stated_seconds == 90
    assert verdict(420, headers={"retry-after": "7"}, rules=rules).stated_seconds == 90
    silent = (ErrorRule(failure=Failure.RATE_LIMITED, status=420),)
    assert verdict(420, headers={"retry-after": "7"}, rules=silent).stated_seconds == 7


def test_an_unknown_failure_shows_how_its_answer_begins() -> None:
    odd = {"oops": {"who": "jane@example.com", "key": SECRET, "what": "flux"}}
    found = verdict(418, odd)
    assert found.failure is Failure.UNKNOWN
    assert found.excerpt == '{"oops": {"who": "***", "key": "***", "what": "flux"}}'
    assert verdict(404, "<html><body>nginx</body></html>").excerpt == "nginx"
    assert verdict(500, odd).excerpt == ""


def test_an_operators_rule_may_say_what_rests() -> None:
    rules = (
        ErrorRule(failure=Failure.RATE_LIMITED, body="address", scope=Scope.PROVIDER),
        ErrorRule(failure=Failure.SERVER_ERROR, status=520, scope=Scope.PROVIDER),
    )
    assert verdict(429, "Too many requests from this address", rules=rules).scope is Scope.PROVIDER
    assert verdict(520, rules=rules).scope is Scope.PROVIDER
    assert verdict(429, rules=rules).scope is Scope.CREDENTIAL_MODEL


@pytest.mark.parametrize(
    ("foreign", "message"),
    [
        (Foreign.THINKING, "messages.1.content.0: Invalid `signature` in `thinking` block"),
        (Foreign.THINKING, "messages.1.content.0.thinking.signature: Field required"),
        (Foreign.THINKING, "messages.1.content.0: Invalid `data` in `redacted_thinking` block"),
        (Foreign.THINKING, "The encrypted content for item rs_1 could not be verified."),
        (
            Foreign.TOOL_IDS,
            "messages.1.content.1.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        ),
        (Foreign.THINKING, "This thinking block was not signed by this model."),
        (Foreign.TOOL_IDS, "Invalid tool id 'functions.write:0'"),
        (Foreign.TOOL_IDS, "tool_use ids must be unique"),
        (Foreign.TOOL_IDS, "messages[3].tool_call_id is too long"),
        (Foreign.TOOL_IDS, "unexpected `tool_use_id` found in `tool_result` blocks"),
        (Foreign.TOOL_IDS, "Invalid 'messages[1].tool_calls[0].id': string too long."),
        (
            Foreign.TOOL_IDS,
            "Tool call id was functions.write:0 but must be a-z, A-Z, 0-9, with a length of 9.",
        ),
        (
            Foreign.THOUGHT_SIGNATURE,
            "Function call is missing a thought_signature in functionCall parts.",
        ),
        (None, "max_tokens: Field required"),
        (None, "temperature may only be set to 1 when thinking is enabled"),
    ],
)
def test_a_refused_history_is_told_from_other_bad_requests(
    foreign: Foreign | None, message: str
) -> None:
    found = verdict(400, {"error": {"type": "invalid_request_error", "message": message}})
    assert (found.failure, found.foreign) == (Failure.BAD_REQUEST, foreign)


def test_only_a_bad_request_is_about_the_history() -> None:
    told = {"error": {"message": "Invalid signature in thinking block"}}
    assert verdict(500, told).foreign is None
    assert verdict(401, told).foreign is None


def test_a_client_fault_or_a_dead_key_states_no_time() -> None:
    for status in (400, 401, 403, 413, 422):
        assert verdict(status, headers={"retry-after": "5"}).stated_seconds is None


def test_the_provider_s_sentence_reaches_the_client_without_secrets() -> None:
    body = {"error": {"message": f"Bad key {SECRET}\nof org-AbC123xyz\x00, mail a.b@c.org\ud800!"}}
    got = verdict(401, body)
    assert got.message == "Bad key *** of *** , mail *** !"


def test_an_answer_without_a_readable_sentence_gets_one_of_ours() -> None:
    for body in (b"", b"<html>x</html>", b"x" * (BODY_READ_MAX + 1), b"[]", b'{"error": 7}'):
        assert verdict(502, body).message.startswith("The provider answered HTTP 502")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"error":' * 7_000,
        b"\xff\xfe\x00",
        b'{"error": {"message": "' + b"a" * 3_000_000,
        b"9" * 60_000,
        b'{"error": {"code": 1e999, "message": ["x"], "details": [[], 1, null]}}',
        b'\xef\xbb\xbf{"error": {"code": "rate_limit_exceeded"}}',
    ],
    ids=["arrays", "objects", "not utf-8", "megabytes", "digits", "wrong types", "byte order mark"],
)
def test_a_hostile_body_is_judged_by_its_status(body: bytes) -> None:
    assert verdict(429, body).failure is Failure.RATE_LIMITED


FAULTS: list[tuple[str, dict[str, Any], Failure, str]] = [
    ("empty_body", {}, Failure.BAD_SUCCESS, "empty_body"),
    ("html", {}, Failure.BAD_SUCCESS, "html"),
    ("error_in_body", {"code": 429, "message": "slow"}, Failure.RATE_LIMITED, "error_in_body"),
    ("error_in_body", {"code": 402, "message": "pay"}, Failure.QUOTA_EXHAUSTED, "billing"),
    ("error_in_body", {"code": 401}, Failure.AUTH, "error_in_body"),
    ("error_in_body", {"code": 502}, Failure.BAD_SUCCESS, "error_in_body"),
    ("error_in_body", {"code": 400, "message": "no"}, Failure.BAD_REQUEST, "error_in_body"),
    (
        "error_event",
        {"type": "error", "error": {"type": "rate_limit_error", "message": "x"}},
        Failure.RATE_LIMITED,
        "rate_limit_error",
    ),
    ("error_event", {"type": "overloaded_error"}, Failure.BAD_SUCCESS, "overloaded_error"),
    ("error_event", {"type": "api_error"}, Failure.BAD_SUCCESS, "api_error"),
    (
        "error_event",
        {"type": "invalid_request_error"},
        Failure.BAD_REQUEST,
        "invalid_request_error",
    ),
    ("error_event", {"code": "insufficient_quota"}, Failure.QUOTA_EXHAUSTED, "insufficient_quota"),
    ("error_event", {"code": "bio_policy"}, Failure.CONTENT_POLICY, "bio_policy"),
    ("error_event", {"code": "vector_store_timeout"}, Failure.BAD_SUCCESS, "upstream_timeout"),
    ("error_event", {"code": "image_too_large"}, Failure.BAD_REQUEST, "image_too_large"),
    (
        "error_event",
        {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded"}}},
        Failure.RATE_LIMITED,
        "rate_limit_exceeded",
    ),
    (
        "error_in_body",
        {"message": "the request exceeds the available context size"},
        Failure.CONTEXT_TOO_LONG,
        "error_in_body",
    ),
    ("error_event", {"message": "something odd, 429"}, Failure.BAD_SUCCESS, "error_event"),
    ("error_event", {"code": "model_not_found"}, Failure.BAD_SUCCESS, "model_not_found"),
]


@pytest.mark.parametrize(("reason", "error", "failure", "expected"), FAULTS)
def test_an_error_inside_a_200_is_judged_by_what_it_says(
    reason: str, error: dict[str, Any], failure: Failure, expected: str
) -> None:
    got = fault(reason, error)
    assert (got.failure, got.scope, got.reason) == (failure, SCOPES[failure], expected)


def test_a_limit_inside_a_200_may_state_its_time_in_words() -> None:
    error = {"code": "rate_limit_exceeded", "message": "Please try again in 1.5s."}
    assert fault("error_event", error).stated_seconds == 1.5


def test_an_operators_rule_reaches_inside_a_200() -> None:
    rules = (ErrorRule(failure=Failure.QUOTA_EXHAUSTED, body="all gone"),)
    assert fault("x", {"message": "It is ALL gone"}, rules=rules).scope is Scope.CREDENTIAL
    by_status = (ErrorRule(failure=Failure.OVERLOADED, status=200),)
    assert fault("no_content", rules=by_status).failure is Failure.OVERLOADED
    assert fault("no_content", rules=rules).failure is Failure.BAD_SUCCESS


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
        "resets_at",
        "retryDelay",
        "violations",
        "response",
        "headers",
        "provider_name",
        "error_code",
        "innererror",
        "detail",
        "msg",
        "retry_after",
    ]
) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
HEADER_NAMES = [
    "retry-after",
    "retry-after-ms",
    "date",
    "x-ratelimit-reset",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "content-type",
    "x-amzn-errortype",
    "x-should-retry",
]
HEADERS = st.dictionaries(
    st.sampled_from(HEADER_NAMES), st.text() | st.just(SECRET) | st.integers().map(str)
)
SEEDED = st.text().map(lambda t: f"{t}{SECRET}{t}".encode("utf-8", "replace"))
PROVIDERS = st.sampled_from(
    ["openai", "anthropic", "gemini", "groq", "openrouter", "glm", "xai", "together"]
)
DIALECTS = st.sampled_from(["openai", "anthropic", "gemini", "code_assist", "litellm", "simulated"])


def assert_bounded_and_clean(got: Verdict) -> None:
    assert len(got.reason) <= REASON_MAX
    assert len(got.message) <= MESSAGE_MAX
    assert got.reason
    assert got.message
    assert SECRET not in got.reason + got.message
    assert (got.reason + got.message).isprintable()
    assert got.stated_seconds is None or 0 < got.stated_seconds <= 366 * 86_400


@given(
    status=st.integers() | st.integers(100, 599),
    headers=HEADERS,
    body=st.binary() | SEEDED | VALUES.map(lambda v: json.dumps(v).encode()),
    provider=PROVIDERS,
    dialect=DIALECTS,
)
def test_no_answer_raises_or_leaks(
    status: int, headers: dict[str, str], body: bytes, provider: str, dialect: str
) -> None:
    got = verdict(status, body, headers=headers, provider=provider, dialect=dialect)
    assert_bounded_and_clean(got)


@given(
    error=st.dictionaries(KEYS, VALUES, max_size=6),
    rules=st.sampled_from([(), (ErrorRule(failure=Failure.AUTH, body="zz"),)]),
    provider=PROVIDERS,
)
def test_no_fault_raises_or_leaks(
    error: dict[str, Any], rules: tuple[ErrorRule, ...], provider: str
) -> None:
    assert_bounded_and_clean(fault("error_event", error, provider=provider, rules=rules))
