"""N12: overload, limit, exhausted quota, dead key, missing model: each is told apart.

An overload is the target's and not the account's, and by itself one of them rests nothing. Here a
single one opens the breaker, so that its own scope and duration are seen as those of the others are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import Client, gateway
from tests.upstream import Answer, ScriptedUpstream, anthropic_error, openai_error

HOUR = 3600.0
JITTER = 1.2
STATED_JITTER = 1.1


@dataclass(frozen=True)
class Case:
    answer: Answer
    failure: str
    reason: str
    scope: str
    source: str
    seconds: float
    """As configured, or as stated; jitter is only ever added."""


CASES = [
    Case(
        anthropic_error(529, "overloaded_error"),
        "overloaded",
        "overloaded_error",
        "target",
        "ladder",
        44,
    ),
    Case(
        openai_error(429, "rate_limit_exceeded", headers={"retry-after": "2"}),
        "rate_limited",
        "rate_limit_exceeded",
        "credential_model",
        "stated",
        2,
    ),
    Case(
        Answer(
            status=429,
            json={
                "error": {
                    "type": "usage_limit_reached",
                    "message": "You have hit your usage limit.",
                    "resets_in_seconds": 3 * HOUR,
                }
            },
        ),
        "quota_exhausted",
        "usage_limit_reached",
        "credential",
        "stated",
        3 * HOUR,
    ),
    Case(Answer(status=402, json={}), "quota_exhausted", "billing", "credential", "ladder", 77),
    Case(
        openai_error(401, "invalid_api_key"), "auth", "invalid_api_key", "credential", "ladder", 55
    ),
    Case(
        openai_error(404, "model_not_found", "The model does not exist."),
        "model_not_found",
        "model_not_found",
        "target",
        "ladder",
        HOUR,
    ),
    Case(
        anthropic_error(400, "invalid_request_error", "Your credit balance is too low to go on."),
        "quota_exhausted",
        "credit_balance",
        "credential",
        "ladder",
        77,
    ),
]


def config(a: ScriptedUpstream, b: ScriptedUpstream, errors: str = "[]") -> str:
    return f"""
    providers:
      a:
        dialect: openai
        base_url: {a.openai_url}
        credentials: [{{name: one, key: k-a}}]
        errors: {errors}
      b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
    stability:
      auth_base_seconds: 55
      quota_exhausted_base_seconds: 77
      breaker_failures: 1
      breaker_base_seconds: 44
    """


async def clear(client: Client) -> None:
    for act in ("cooldowns/reset", "routes/coder/clear-penalty"):
        assert (await client.post(f"/api/v1/{act}", {})).status == 200


async def rested(client: Client, attempt: str, source: str) -> dict[str, Any]:
    rows = await client.all("cooldowns")
    [row] = [
        row for row in rows if row["trigger_attempt_id"] == attempt and row["source"] == source
    ]
    return row


async def test_seven_refusals_have_seven_reasons_and_each_its_scope_and_rest(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        told = set()
        async with gateway(tmp_path, config(a, b)) as g:
            for case in CASES:
                a.plan(case.answer)
                got = await g.client.chat()
                assert (got.status, got.provider) == (200, "b")
                tried, _ = (await g.client.story(got))["candidates"]
                assert (tried["failure"], tried["reason"], tried["scope"]) == (
                    case.failure,
                    case.reason,
                    case.scope,
                )
                told.add((tried["failure"], tried["reason"]))
                row = await rested(g.client, tried["attempt_id"], case.source)
                assert (row["scope"], row["reason"]) == (case.scope, case.failure)
                most = STATED_JITTER if case.source == "stated" else JITTER
                assert case.seconds <= row["duration_seconds"] <= most * case.seconds
                shown = (await g.client.api("status"))["cooldowns"]
                assert case.failure in {each["reason"] for each in shown}
                await clear(g.client)
            assert len(told) == len(CASES)
            assert (len(a.hits), len(b.hits)) == (7, 7)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_that_nobody_knows_is_its_own_class(tmp_path: Path, *, stream: bool) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(Answer(status=418, json={"error": {"message": "I am a teapot."}}))
        async with gateway(tmp_path, config(a, b)) as g:
            got = await g.client.chat(stream=stream)
            assert got.provider == "b"
            tried, _ = (await g.client.story(got))["candidates"]
            assert (tried["failure"], tried["scope"], tried["status"]) == ("unknown", "target", 418)


async def test_an_operator_s_rule_is_asked_first(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(Answer(status=418, json={"error": {"message": "Come back tomorrow, says the pot."}}))
        rules = "[{status: 418, body: come back tomorrow, failure: quota_exhausted}]"
        async with gateway(tmp_path, config(a, b, rules)) as g:
            got = await g.client.chat()
            tried, _ = (await g.client.story(got))["candidates"]
            assert (tried["failure"], tried["scope"]) == ("quota_exhausted", "credential")
            row = await rested(g.client, tried["attempt_id"], "ladder")
            assert 77 <= row["duration_seconds"] <= 77 * JITTER
