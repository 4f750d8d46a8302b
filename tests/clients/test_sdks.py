"""The official OpenAI and Anthropic SDKs: a tool, and a provider that falls over between two turns.

That they see through the gateway what they see without it is shown in tests/end_to_end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.clients.answers import Call
from tests.clients.scenes import FIRST, ROUTE, SECOND, SECRET_OF_THE_FILE, Scene, scene

CALLS = (Call("read_harbour", {"name": "harbour.txt"}),)
PROMPT = "Where is the harbour?"
SCHEMA: Any = {"type": "object", "properties": {"name": {"type": "string"}}}
TOOL: Any = {"name": "read_harbour", "description": "Reads a file."}
KEY = "a-key-of-the-client"


async def chat(s: Scene) -> str:
    tools: Any = [{"type": "function", "function": {**TOOL, "parameters": SCHEMA}}]
    async with openai.AsyncOpenAI(base_url=f"{s.url}/v1", api_key=KEY, max_retries=0) as sdk:
        messages: list[Any] = [{"role": "user", "content": PROMPT}]
        while True:
            async with sdk.chat.completions.stream(
                model=ROUTE, messages=messages, tools=tools
            ) as stream:
                message = (await stream.get_final_completion()).choices[0].message
            if not message.tool_calls:
                return message.content or ""
            [call] = message.tool_calls
            messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
            result = {"role": "tool", "tool_call_id": call.id, "content": SECRET_OF_THE_FILE}
            messages.append(result)


async def responses(s: Scene) -> str:
    tools: Any = [{"type": "function", **TOOL, "parameters": SCHEMA, "strict": False}]
    async with openai.AsyncOpenAI(base_url=f"{s.url}/v1", api_key=KEY, max_retries=0) as sdk:
        items: list[Any] = [{"role": "user", "content": PROMPT}]
        while True:
            async with sdk.responses.stream(model=ROUTE, input=items, tools=tools) as stream:
                response = await stream.get_final_response()
            calls = [each for each in response.output if each.type == "function_call"]
            if not calls:
                return response.output_text
            call_id = calls[0].call_id
            items += [each.model_dump(exclude={"parsed_arguments"}) for each in response.output]
            items.append(
                {
                    "type": "function_call_output",
                    "call_id": call_id,
                    "output": SECRET_OF_THE_FILE,
                }
            )


async def messages(s: Scene) -> str:
    tools: Any = [{**TOOL, "input_schema": SCHEMA}]
    async with anthropic.AsyncAnthropic(base_url=s.url, api_key=KEY, max_retries=0) as sdk:
        turns: list[Any] = [{"role": "user", "content": PROMPT}]
        while True:
            async with sdk.messages.stream(
                model=ROUTE, messages=turns, tools=tools, max_tokens=100
            ) as stream:
                message = await stream.get_final_message()
            uses = [each for each in message.content if each.type == "tool_use"]
            if not uses:
                return "".join(each.text for each in message.content if each.type == "text")
            turns.append({"role": "assistant", "content": message.model_dump()["content"]})
            result = {
                "type": "tool_result",
                "tool_use_id": uses[0].id,
                "content": SECRET_OF_THE_FILE,
            }
            turns.append({"role": "user", "content": [result]})


Client = Callable[[Scene], Awaitable[str]]
each_client = pytest.mark.parametrize(
    ("client", "dialect"),
    [(chat, "openai"), (responses, "responses"), (messages, "anthropic")],
    ids=lambda it: getattr(it, "__name__", it),
)


@each_client
async def test_it_uses_a_tool(tmp_path: Path, client: Client, dialect: str) -> None:
    async with scene(tmp_path, dialects=(dialect, dialect), calls=CALLS) as s:
        assert await client(s) == FIRST
        assert SECRET_OF_THE_FILE in s.script.results


@each_client
@pytest.mark.parametrize("other", ["openai", "responses", "anthropic", "gemini"])
async def test_it_survives_a_fallback_between_its_turns(
    tmp_path: Path, client: Client, dialect: str, other: str
) -> None:
    if other == "responses" != dialect:
        other = dialect  # A provider that has Responses is still asked for chat by all others.
    async with scene(tmp_path, dialects=(dialect, other), calls=CALLS, falls=True) as s:
        assert await client(s) == SECOND
        assert s.dialects_of_second() == {other}
        assert SECRET_OF_THE_FILE in s.script.results
        await s.rescued()
