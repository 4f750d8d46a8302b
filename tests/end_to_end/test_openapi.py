"""The OpenAPI document against a running gateway whose database is filled: what it says is true."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS

from tests.end_to_end.gateways import gateway, openai, settings_of
from tests.upstream import Answer, ScriptedUpstream

KEY = "sk-admin-0123456789abcdef"
EXAMPLES = 12
"""Of each operation: half a minute in all."""
LEFT_ALONE = frozenset(
    {"unsupported_method", "missing_required_header", "positive_data_acceptance"}
)
"""Checks of what the document does not promise: a name that fits the pattern may still be unknown."""


async def test_every_answer_is_as_the_document_says(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        shape = settings_of(
            {"a": openai(a, "one", "two"), "b": openai(b)},
            {"coder": ["a/model-a", "b/model-b"]},
            auth={"admin_key": KEY},
        )
        a.plan(Answer(status=429, headers={"retry-after": "60"}, json={}))
        a.plan(*[Answer(status=500, json={})] * 3)
        async with gateway(tmp_path, shape, key=KEY) as g:
            for _ in range(20):
                await g.client.chat("coder")
            await g.settled()
            found = await asyncio.to_thread(_check, g.url)
    assert found > 15


def _check(url: str) -> int:
    headers = {"authorization": f"Bearer {KEY}"}
    refused = requests.get(f"{url}/api/v1/openapi.json", timeout=10)
    assert refused.status_code == 401
    told = requests.get(f"{url}/api/v1/openapi.json", headers=headers, timeout=10).json()
    schema: Any = schemathesis.openapi.from_dict(told)
    schema.config.update(base_url=url)
    checked = 0
    for each in schema.get_all_operations():
        _fuzz(each.ok(), headers)
        checked += 1
    return checked


def _fuzz(operation: Any, headers: dict[str, str]) -> None:
    chosen = [check for name, check in _checks().items() if name not in LEFT_ALONE]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=chosen, timeout=20)

    run()


def _checks() -> dict[str, Any]:
    found: Any = CHECKS
    return {name: found.get_one(name) for name in found.get_all_names()}


def test_the_checks_that_are_left_alone_exist() -> None:
    assert set(_checks()) >= LEFT_ALONE


@pytest.mark.parametrize("name", ["not_a_server_error", "response_schema_conformance"])
def test_the_checks_that_matter_are_made(name: str) -> None:
    assert name in set(_checks()) - LEFT_ALONE
