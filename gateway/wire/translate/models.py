"""What a model's name tells of the parameters that its provider takes.

Names that are not known here count as the newest of their family. A wrong guess is the provider's
400, which it words itself.
"""

from __future__ import annotations

import re

_OPENAI = re.compile(r"(?:^|/)(?:gpt-[3-9]|gpt-\d\d|o[1-9]|chatgpt|codex)")
_OPENAI_WITHOUT_THOUGHT = re.compile(r"(?:^|/)(?:gpt-3|gpt-4|chatgpt)|-chat-latest$")
_CLAUDE_BY_BUDGET = re.compile(
    r"claude-(?:3|[a-z]+-3|[a-z]+-4(?:[.-][0-5])?(?:$|[-@:]\D|[-@]\d{8}))"
)
_CLAUDE_WITHOUT_THOUGHT = re.compile(r"claude-(?:2|instant|3-(?:opus|sonnet|haiku|5))")
_GEMINI_OLD = re.compile(r"gemini-1|gemini-2\.0")
_GEMINI_BY_BUDGET = re.compile(r"gemini-2\.5|gemini-(?:flash|pro)(?:-lite)?-latest")

MAX_TOKENS = (
    (re.compile(r"claude-3-(?:opus|sonnet|haiku)"), 4096),
    (re.compile(r"claude-3-5"), 8192),
)
MAX_TOKENS_USUALLY = 32_000
"""Every Claude since 4 takes it, and no agent's answer was ever longer; Anthropic asks for a number
where others have their own idea."""


def is_openai(model: str) -> bool:
    return _OPENAI.search(model) is not None


def openai_thinks(model: str) -> bool:
    """One of OpenAI's that reasons, and therefore takes no sampling parameters."""
    return is_openai(model) and _OPENAI_WITHOUT_THOUGHT.search(model) is None


def takes_effort(model: str) -> bool:
    """Everybody but OpenAI's older ones, who refuse the parameter."""
    return _OPENAI_WITHOUT_THOUGHT.search(model) is None


def claude_thinks(model: str) -> bool:
    return _CLAUDE_WITHOUT_THOUGHT.search(model) is None


def claude_adapts(model: str) -> bool:
    """It sets its own budget (`adaptive`). Others that speak the dialect know budgets only."""
    return "claude" in model and _CLAUDE_BY_BUDGET.search(model) is None


def claude_max_tokens(model: str) -> int:
    return next((most for name, most in MAX_TOKENS if name.search(model)), MAX_TOKENS_USUALLY)


def gemini_thinks(model: str) -> bool:
    return _GEMINI_OLD.search(model) is None


def gemini_wants_signatures(model: str) -> bool:
    return re.search(r"gemini-[12]", model) is None


def gemini_by_budget(model: str) -> bool:
    return _GEMINI_BY_BUDGET.search(model) is not None


# -- efforts and budgets ----------------------------------------------------------------------------

_BUDGETS = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 32_768,
}


def budget_of(effort: str, budget: int | None) -> int:
    """In tokens. Without either, `medium`: what OpenAI's models do when they are not told."""
    return budget if budget is not None else _BUDGETS.get(effort, _BUDGETS["medium"])


def effort_of(effort: str, budget: int | None) -> str:
    """The word for a budget; empty where neither is known."""
    if effort or budget is None:
        return effort
    return next((word for word in ("low", "medium") if budget <= _BUDGETS[word]), "high")
