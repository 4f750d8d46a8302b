"""LangChain through the gateway, in both dialects: a prompt, a tool, a fallback between two turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.clients.answers import Call
from tests.clients.scenes import FIRST, ROUTE, SECOND, SECRET_OF_THE_FILE, Scene, scene

CALLS = (Call("read_harbour", {"name": "harbour.txt"}),)
KEY = SecretStr("a-key-of-the-client")
PROMPT = HumanMessage("Where is the harbour?")


def _openai(s: Scene) -> Any:
    return ChatOpenAI(base_url=f"{s.url}/v1", api_key=KEY, model=ROUTE, max_retries=0)


def _anthropic(s: Scene) -> Any:
    return ChatAnthropic(
        base_url=s.url,
        api_key=KEY,
        model_name=ROUTE,
        max_retries=0,
        timeout=None,
        stop=None,
    )


Model = Callable[[Scene], Any]
each_model = pytest.mark.parametrize(
    ("dialect", "model"), [("openai", _openai), ("anthropic", _anthropic)]
)


def reading(folder: Path) -> Any:
    @tool
    def read_harbour(name: str) -> str:
        """Reads a file."""
        return (folder / name).read_text()

    return read_harbour


async def streamed(model: Any, messages: list[BaseMessage]) -> Any:
    """The message that the pieces of a stream add up to."""
    whole = None
    async for piece in model.astream(messages):
        whole = piece if whole is None else whole + piece
    return whole


async def two_turns(s: Scene, model: Any) -> str:
    read_harbour = reading(s.folder)
    able = model.bind_tools([read_harbour])
    first = await streamed(able, [PROMPT])
    [call] = first.tool_calls
    result = ToolMessage(read_harbour.invoke(call["args"]), tool_call_id=call["id"])
    second = await streamed(able, [PROMPT, first, result])
    return str(second.text)


@each_model
async def test_it_answers_a_prompt(tmp_path: Path, dialect: str, model: Model) -> None:
    async with scene(tmp_path, dialects=(dialect, dialect)) as s:
        assert (await model(s).ainvoke([PROMPT])).text == FIRST
        assert (await streamed(model(s), [PROMPT])).text == FIRST


@each_model
async def test_it_uses_a_tool(tmp_path: Path, dialect: str, model: Model) -> None:
    async with scene(tmp_path, dialects=(dialect, dialect), calls=CALLS) as s:
        assert await two_turns(s, model(s)) == FIRST
        assert SECRET_OF_THE_FILE in s.script.results


@each_model
@pytest.mark.parametrize("other", ["openai", "anthropic"])
async def test_it_survives_a_fallback_between_its_turns(
    tmp_path: Path, dialect: str, model: Model, other: str
) -> None:
    async with scene(tmp_path, dialects=(dialect, other), calls=CALLS, falls=True) as s:
        assert await two_turns(s, model(s)) == SECOND
        assert SECRET_OF_THE_FILE in s.script.results
        await s.rescued()
        assert s.dialects_of_second() == {other}
