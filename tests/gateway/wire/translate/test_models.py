"""What names of models tell."""

from __future__ import annotations

import pytest

from gateway.wire.translate import models


@pytest.mark.parametrize(
    ("model", "adapts"),
    [
        ("claude-3-7-sonnet-20250219", False),
        ("claude-sonnet-4-20250514", False),
        ("claude-opus-4-1-20250805", False),
        ("claude-haiku-4-5", False),
        ("claude-sonnet-4-5@20250929", False),
        ("anthropic/claude-sonnet-4.5", False),
        ("claude-opus-4-6", True),
        ("claude-opus-4-7-20260401", True),
        ("claude-sonnet-5", True),
        ("kimi-k2", False),
    ],
)
def test_who_sets_its_own_budget(model: str, adapts: bool) -> None:
    assert models.claude_adapts(model) is adapts


@pytest.mark.parametrize(
    ("model", "openai", "thinks"),
    [
        ("gpt-5.1", True, True),
        ("openai/o3-mini", True, True),
        ("gpt-4o", True, False),
        ("gpt-5-chat-latest", True, False),
        ("gpt-oss-120b", False, False),
        ("llama-3", False, False),
    ],
)
def test_who_is_openais_and_reasons(model: str, openai: bool, thinks: bool) -> None:
    assert models.is_openai(model) is openai
    assert models.openai_thinks(model) is thinks


def test_a_budget_as_an_effort_and_back() -> None:
    for effort in ("low", "medium", "high"):
        assert models.effort_of("", models.budget_of(effort, None)) == effort
