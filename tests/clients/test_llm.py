"""The program `llm` through the gateway: a prompt, a tool, a provider that falls over in between."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.clients.answers import Call
from tests.clients.scenes import ROUTE, Ran, Scene, scene

CALLS = (Call("read_harbour", {"name": "harbour.txt"}),)
FUNCTIONS = """
def read_harbour(name: str) -> str:
    "Reads a file."
    with open(name) as file:
        return file.read()
"""
OPENAI = ("openai", "openai")


async def ask(s: Scene, *more: str) -> Ran:
    folder = s.home / "llm"
    folder.mkdir()
    model = {
        "model_id": ROUTE,
        "model_name": ROUTE,
        "api_base": f"{s.url}/v1",
        "supports_tools": True,
    }
    # JSON is YAML.
    (folder / "extra-openai-models.yaml").write_text(json.dumps([model]))
    program = Path(sys.executable).with_name("llm")
    return await s.run(
        str(program),
        *("-m", ROUTE, "Where is the harbour?", *more),
        LLM_USER_PATH=str(folder),
        OPENAI_API_KEY="a-key-of-the-client",
    )


async def test_it_answers_a_prompt(tmp_path: Path) -> None:
    async with scene(tmp_path, dialects=OPENAI) as s:
        await s.answered(await ask(s))


async def test_it_uses_a_tool(tmp_path: Path) -> None:
    async with scene(tmp_path, dialects=OPENAI, calls=CALLS) as s:
        await s.used_its_tool(await ask(s, "--functions", FUNCTIONS))


@pytest.mark.parametrize("other", ["openai", "anthropic"])
async def test_it_survives_a_fallback_within_its_session(tmp_path: Path, other: str) -> None:
    async with scene(tmp_path, dialects=("openai", other), calls=CALLS, falls=True) as s:
        await s.survived(await ask(s, "--functions", FUNCTIONS))
        assert s.dialects_of_second() == {other}
