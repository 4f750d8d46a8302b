from __future__ import annotations

import json

import pytest

from gateway.relay.answering import answer_error, error_headers, request_headers
from gateway.units import RequestId
from gateway.wire.base import ErrorAnswer
from tests.gateway.relay.carrying import OPENAI, Kept, carrier
from tests.upstream import Answer, ScriptedUpstream

NAMES = ("request-id", "route", "provider", "model", "credential", "attempts")


def error(*, retry_after: int | None = None, should_retry: bool | None = None) -> ErrorAnswer:
    return ErrorAnswer(
        status=429,
        code="rate_limited",
        message="Later.",
        request_id="01X",
        retry_after_seconds=retry_after,
        should_retry=should_retry,
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(), {}),
        (error(retry_after=7), {"retry-after": "7"}),
        (error(should_retry=False), {"x-should-retry": "false"}),
        (error(should_retry=True), {"x-should-retry": "true"}),
    ],
)
def test_an_error_says_whether_and_when_to_come_back(
    answer: ErrorAnswer, expected: dict[str, str]
) -> None:
    headers = dict(error_headers(answer))
    assert headers.pop("content-type") == "application/json"
    assert headers == expected


async def test_an_error_is_whole_and_in_the_dialect() -> None:
    kept = Kept()
    await answer_error(kept, OPENAI, error(retry_after=3), request_headers(RequestId("01X")))
    assert (kept.status, kept.ended) == (429, True)
    assert json.loads(kept.body)["error"]["code"] == "rate_limited"
    assert kept.headers["x-evenkeel-request-id"] == "01X"
    assert kept.headers["x-evenkeel-attempts"] == "0"
    assert kept.headers["retry-after"] == "3"


async def test_an_answer_names_who_served_and_who_should_have() -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, carrier(a, b) as c:
        a.default = Answer(status=500, json={})
        kept = await c.ask({"model": "r"})
        own = {name: kept.headers[f"x-evenkeel-{name}"] for name in NAMES}
        assert own == dict(zip(NAMES, ("01JTEST", "r", "b", "model-b", "key-1", "2"), strict=True))
        assert kept.headers["x-evenkeel-fallback-from"] == "a/model-a"
        assert kept.headers["x-evenkeel-fallback-reason"] == "server_error"


async def test_without_a_server_the_answer_names_nobody() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        a.default = Answer(status=401, json={})
        kept = await c.ask({"model": "r"})
        assert kept.headers["x-evenkeel-attempts"] == "1"
        for name in ("provider", "model", "credential", "fallback-from"):
            assert f"x-evenkeel-{name}" not in kept.headers


async def test_a_name_that_no_header_can_hold_is_shown_as_well_as_it_can_be() -> None:
    async with ScriptedUpstream() as a, carrier(a) as c:
        kept = await c.ask({"model": "a/größe⛵"})
        assert kept.headers["x-evenkeel-model"] == "größe?"
