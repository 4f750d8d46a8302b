"""Every way in which providers state a time, and the nonsense they state instead."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.resets import SOON_SECONDS, STATED_MAX_SECONDS, stated_reset
from gateway.units import MICROS, Timestamp

EPOCH = 1_795_435_200  # 2026-11-23 12:00:00 UTC, a Monday
NOW = Timestamp(EPOCH * MICROS)


def header(name: str, value: str, **more: str) -> float | None:
    others = {key.replace("_", "-"): text for key, text in more.items()}
    return stated_reset(429, {name: value, **others}, None, "", NOW)


def body(value: object) -> float | None:
    return stated_reset(429, {}, value, "", NOW)


def text(sentence: str) -> float | None:
    return stated_reset(429, {}, None, sentence, NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        (" 2 ", 2.0),
        ("0.5", 0.5),
        ("0", SOON_SECONDS),
        ("-5", SOON_SECONDS),
        ("0.2903", 0.291),
        ("1.1", 1.1),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60.0),
        ("Monday, 23-Nov-26 12:01:00 GMT", 60.0),
        ("Mon Nov 23 12:01:00 2026", 60.0),
        ("Mon, 23 Nov 2026 14:01:00 +0200", 60.0),
        ("2026-11-23T12:01:00Z", 60.0),
        ("Mon, 23 Nov 2026 11:59:00 GMT", SOON_SECONDS),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("1e30", None),
        ("9" * 19, None),
        ("1_000", None),
        ("\u0661\u0662", None),
        ("99, 99 Foo 9999 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert header("retry-after", value) == seconds


def test_milliseconds_win_over_seconds_unless_they_are_nonsense() -> None:
    assert header("retry-after-ms", "290", retry_after="1") == 0.29
    assert header("x-ms-retry-after-ms", "1500.2", retry_after="1") == 1.501
    assert header("retry-after-ms", "soon", retry_after="1") == 1.0


def test_a_date_is_measured_by_the_provider_s_own_clock_if_that_is_sane() -> None:
    date = "Mon, 23 Nov 2026 12:05:30 GMT"
    assert header("retry-after", date, date="Mon, 23 Nov 2026 12:05:00 GMT") == 30
    assert header("retry-after", date, date="Mon, 23 Nov 2020 12:05:00 GMT") == 330
    assert header("retry-after", date, date="rubbish") == 330
    assert header("retry-after", "30", date="Mon, 23 Nov 2026 12:05:00 GMT") == 30


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("50", 50.0),
        (str(EPOCH + 50), 50.0),
        (str((EPOCH + 50) * 1000), 50.0),
        ("2026-11-23T12:00:50Z", 50.0),
        ("2026-11-23T12:00:50.25+00:00", 50.25),
        ("6m0s", 360.0),
        (str(EPOCH * 1_000_000), None),
    ],
)
def test_a_plain_reset_header_is_read_by_magnitude(value: str, seconds: float | None) -> None:
    assert header("x-ratelimit-reset", value) == seconds


def test_a_plain_reset_header_is_no_rest_while_something_remains() -> None:
    assert header("x-ratelimit-reset", "50", x_ratelimit_remaining="3") is None
    assert stated_reset(200, {"x-ratelimit-reset": "50"}, None, "", NOW) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723.0),
        ("500us", 0.001),
        ("30", 30.0),
        ("0", None),
        ("-1", None),
        ("1x", None),
    ],
)
def test_an_empty_bucket_gives_an_upper_bound(value: str, seconds: float | None) -> None:
    name = "x-ratelimit-reset-tokens"
    assert header(name, value, x_ratelimit_remaining_tokens="0") == seconds
    assert header(name, value, x_ratelimit_remaining_tokens="1") is None
    assert header(name, value, x_ratelimit_remaining_tokens="0", retry_after="3") == 3.0


def test_of_anthropic_s_empty_buckets_the_latest_counts() -> None:
    prefix = "anthropic-ratelimit-"
    headers = {
        f"{prefix}requests-remaining": "0",
        f"{prefix}requests-reset": "2026-11-23T12:00:05Z",
        f"{prefix}output-tokens-remaining": "0",
        f"{prefix}output-tokens-reset": "2026-11-23T12:00:45Z",
        f"{prefix}input-tokens-remaining": "100",
        f"{prefix}input-tokens-reset": "2026-11-23T12:10:00Z",
    }
    assert stated_reset(429, headers, None, "", NOW) == 45
    assert stated_reset(500, headers, None, "", NOW) is None


def test_a_rejected_subscription_window_counts_and_an_allowed_one_does_not() -> None:
    name, status = "anthropic-ratelimit-unified-reset", "anthropic-ratelimit-unified-status"
    for word, seconds in (("rejected", 900.0), ("allowed_warning", None)):
        headers = {name: str(EPOCH + 900), status: word}
        assert stated_reset(429, headers, None, "", NOW) == seconds


def google(*details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": list(details)}}


DAILY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (google({"retryDelay": "34.074824224s"}), 34.075),
        (google({"retryDelay": "900ms"}), 0.9),
        (google({"metadata": {"quotaResetDelay": "156h14m36.75s"}}), 562_476.75),
        (google({"metadata": {"quotaResetTimeStamp": "2026-11-23T13:00:00Z"}}), 3600.0),
        ([google({"retryDelay": "5s"})], 5.0),
        (google(DAILY, {"retryDelay": "5s"}), None),
        (google(DAILY, {"metadata": {"quotaResetDelay": "9h"}}), 32_400.0),
        ({"error": {"resets_in_seconds": 77}}, 77.0),
        ({"error": {"resets_at": EPOCH + 5}}, 5.0),
        ({"error": {"resets_at": (EPOCH + 5) * 1000}}, 5.0),
        ({"error": {"resets_at": "2026-11-23T12:00:05Z"}}, 5.0),
        ({"error": {"metadata": {"resets_at": "2026-11-23T12:00:05Z"}}}, 5.0),
        ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": str(EPOCH + 9)}}}}, 9.0),
        ({"response": {"error": {"reset_time": EPOCH + 5}}}, 5.0),
        ({"error": {"code": "1310", "next_flush_time": "2026-11-23 20:00:05"}}, 5.0),
        ({"error": {"resets_at": True}}, None),
        ({"error": {"resets_at": [5]}}, None),
        ({"error": {"resets_at": float("nan")}}, None),
        ({"error": {"resets_at": 10**400}}, None),
        ({"error": {"resets_at": -1e308}}, SOON_SECONDS),
        ({"detail": [{"input": {"resets_at": 5}}]}, None),
    ],
)
def test_a_time_in_the_body_is_read_at_its_usual_places(
    value: object, seconds: float | None
) -> None:
    assert body(value) == seconds


def test_a_daily_quota_ignores_every_short_hint() -> None:
    sentence = "Quota exceeded. Please retry in 20.04s."
    assert stated_reset(429, {"retry-after": "20"}, google(DAILY), sentence, NOW) is None


def test_the_later_of_header_and_body_counts() -> None:
    told = {"error": {"resets_in_seconds": 600}}
    assert stated_reset(429, {"retry-after": "1"}, told, "", NOW) == 600
    assert stated_reset(429, {"retry-after": "900"}, told, "", NOW) == 900


@pytest.mark.parametrize(
    ("sentence", "seconds"),
    [
        ("Please try again in 58 hours.", 208_800.0),
        ("Please try again in 1.5s. Visit us.", 1.5),
        ("try again in 20ms", 0.02),
        ("Please retry in 20.04s.", 20.04),
        ("Your quota will reset after 156h14m36s.", 562_476.0),
        ("Please wait 20 seconds", 20.0),
        ("Please wait for 5 minutes before retrying", 300.0),
        ("Please retry your request after 2 seconds.", 2.0),
        ("Limit resets in 2 hours and 5 minutes", 7500.0),
        ("Retry in 6m0s; the day's quota will reset after 9h", 32_400.0),
        ("You will regain access on 2026-12-01 at 00:00 UTC.", 648_000.0),
        ("Your limit will reset at 2026-11-23T14:00:00+02:00", SOON_SECONDS),
        ("Please try again later.", None),
        ("Try again in 5 Minsk hours", None),
        ("It took 20 seconds", None),
        ("try again in 999999999 weeks", None),
    ],
)
def test_a_time_in_a_sentence_is_understood(sentence: str, seconds: float | None) -> None:
    assert text(sentence) == seconds


VALUES = (
    st.text()
    | st.integers().map(str)
    | st.floats().map(str)
    | st.datetimes().map(str)
    | st.from_regex(r"(-?[0-9]{1,30}(ns|us|ms|s|m|h|d)?){1,4}", fullmatch=True)
    | st.from_regex(r"Mon, [0-9]{1,2} Nov [0-9]{1,5} [0-9:]{1,9} [+-][0-9]{1,9}", fullmatch=True)
)
NAMES = st.sampled_from(
    [
        "retry-after",
        "retry-after-ms",
        "x-ms-retry-after-ms",
        "date",
        "x-ratelimit-reset",
        "x-ratelimit-remaining",
        "x-ratelimit-reset-tokens",
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-unified-reset",
        "anthropic-ratelimit-unified-status",
    ]
)
KEYS = st.sampled_from(
    ["resets_at", "retryDelay", "quotaResetDelay", "code", "details", "metadata", "headers"]
)
JSON = VALUES | st.integers() | st.floats() | st.none() | st.booleans() | st.lists(VALUES)


@given(
    status=st.sampled_from([200, 400, 402, 429, 503]),
    headers=st.dictionaries(NAMES, VALUES),
    value=st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON)),
    sentence=st.text() | VALUES.map(lambda v: f"try again in {v}, or resets at {v}"),
    now=st.integers(0, 4_000_000_000 * MICROS),
)
def test_nonsense_never_raises_and_no_time_is_negative_or_endless(
    status: int, headers: dict[str, str], value: dict[str, Any], sentence: str, now: int
) -> None:
    found = stated_reset(status, headers, {"error": value}, sentence, Timestamp(now))
    assert found is None or SOON_SECONDS <= found <= STATED_MAX_SECONDS


@given(seconds=st.floats(0, 1e6))
def test_a_stated_wait_is_rounded_up_by_less_than_a_millisecond(seconds: float) -> None:
    found = header("retry-after", f"{seconds:.9f}")
    assert found is not None
    assert math.isclose(found, seconds, abs_tol=0.001_001)
    assert found >= seconds - 1e-6
