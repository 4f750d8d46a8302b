"""aider through the gateway: a prompt, an edit, and a provider that falls over while it mends it.

aider lives in a virtual environment of its own, `.venv-aider`, as it pins other versions of our
libraries; `make test-deps` makes it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.answers import overloaded, said, turn_of
from tests.clients.programs import aider
from tests.clients.scenes import ROUTE, SECOND, Ran, Scene, scene
from tests.upstream import Answer, Hit

OPENAI = ("openai", "openai")
FILE = "harbour.txt"
GOOD = "the harbour is open"


async def ask(s: Scene, prompt: str, *more: str) -> Ran:
    git = await s.run("git", "init", "--quiet", ".")
    assert git.status == 0, git.output
    return await s.run(
        aider(),
        *("--model", f"openai/{ROUTE}", "--edit-format", "whole", "--no-pretty"),
        *("--no-show-model-warnings", "--no-check-update", "--analytics-disable"),
        *("--yes-always", "--no-auto-commits", "--no-gitignore", "--no-auto-lint"),
        *("--map-tokens", "0", "--message", prompt, *more),
        OPENAI_API_BASE=f"{s.url}/v1",
        OPENAI_API_KEY="a-key-of-the-client",
    )


def edit(hit: Hit, content: str, words: str = "Here it is.") -> Answer:
    return said(turn_of(hit), f"{words}\n\n{FILE}\n```\n{content}\n```\n")


@pytest.fixture(autouse=True)
def installed() -> None:
    aider()


async def test_it_answers_a_prompt(tmp_path: Path) -> None:
    async with scene(tmp_path, dialects=OPENAI) as s:
        await s.answered(await ask(s, "How is the wind?"))


async def test_it_edits_a_file(tmp_path: Path) -> None:
    async with scene(tmp_path, dialects=OPENAI) as s:
        s.first.decide = lambda hit: edit(hit, GOOD)
        ran = await ask(s, "Open the harbour.", FILE)
        assert ran.status == 0, ran.output
        assert (s.folder / FILE).read_text().strip() == GOOD
        assert {row["outcome"] for row in await s.requests()} == {"ok"}


@pytest.mark.parametrize("other", ["openai", "anthropic"])
async def test_it_survives_a_fallback_within_its_session(tmp_path: Path, other: str) -> None:
    """Its test refuses the first edit; who is asked to mend it is down, and the other one does."""
    async with scene(tmp_path, dialects=("openai", other)) as s:

        def first(hit: Hit) -> Answer:
            once = len(s.first.hits) == 1
            return edit(hit, "the harbour is shut") if once else overloaded(turn_of(hit))

        s.first.decide = first
        s.second.decide = lambda hit: edit(hit, GOOD, SECOND)
        test = f"grep -q '{GOOD}' {FILE}"
        ran = await ask(s, "Open the harbour.", FILE, "--auto-test", "--test-cmd", test)
        assert ran.status == 0, ran.output
        assert SECOND in ran.output, ran.output
        assert (s.folder / FILE).read_text().strip() == GOOD
        assert GOOD not in s.first.hits[0].body.decode()
        await s.rescued()
        assert s.dialects_of_second() == {other}
