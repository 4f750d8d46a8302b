"""What litellm makes of the same inputs, over a transport within the process.

Run as a program it prints its results as JSON: a test compares them, and loads no litellm itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from copy import deepcopy
from importlib import import_module
from typing import Any

import httpx

from tests.gateway.wire.translate.recorded import STREAMS, sse, whole_answer

_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_OFFLINE_MODE": "true",
    "LITELLM_MODE": "PRODUCTION",
}
MODELS = {"anthropic": "anthropic/claude-sonnet-4-5", "openai": "hosted_vllm/m-1"}


class Litellm:
    """One process's litellm, with what it was last asked to send."""

    def __init__(self) -> None:
        os.environ.update(_QUIET)
        library: Any = import_module("litellm")
        self._litellm = library
        self._litellm.suppress_debug_info = True
        self._litellm.disable_token_counter = True
        self._litellm.disable_streaming_logging = True
        self._handler: Any = import_module("litellm.llms.custom_httpx.http_handler").HTTPHandler
        adapters = "litellm.llms.anthropic.messages.adapters"
        self._messages_stream: Any = import_module(
            f"{adapters}.streaming_iterator"
        ).AnthropicStreamWrapper
        self._messages: Any = import_module(f"{adapters}.transformation").AnthropicAdapter()
        bridge = "litellm.responses.litellm_completion_transformation"
        self._responses_stream: Any = import_module(
            f"{bridge}.streaming_iterator"
        ).LiteLLMCompletionStreamingIterator
        self._responses: Any = import_module(
            f"{bridge}.transformation"
        ).LiteLLMCompletionResponsesConfig
        self.sent: Any = None

    def chat(self, target: str, request: Any, answer: bytes, *, stream: bool) -> Any:
        """A completion by a target that answers `answer`."""

        def answering(sent: httpx.Request) -> httpx.Response:
            self.sent = json.loads(sent.content)
            kind = "text/event-stream" if stream else "application/json"
            return httpx.Response(200, headers={"content-type": kind}, content=answer)

        client = self._handler(client=httpx.Client(transport=httpx.MockTransport(answering)))
        more = {"stream_options": {"include_usage": True}} if stream else {}
        return self._litellm.completion(
            **{**request, "model": MODELS[target]},
            stream=stream,
            api_key="k",
            api_base="http://upstream.invalid",
            client=client,
            max_retries=0,
            drop_params=True,
            **more,
        )

    def stream(self, client: str, target: str, answer: bytes) -> Iterator[bytes]:
        """The client's frames."""
        asked = {"messages": [{"role": "user", "content": "Hi"}]}
        chunks = self.chat(target, asked, answer, stream=True)
        match client:
            case "anthropic":
                wrapper = self._messages_stream(completion_stream=chunks, model="m-1")
                yield from wrapper.anthropic_sse_wrapper()
            case "responses":
                events = self._responses_stream(
                    model="m-1",
                    litellm_custom_stream_wrapper=chunks,
                    request_input="Hi",
                    responses_api_request={},
                )
                for event in events:
                    yield b"data: " + event.model_dump_json().encode() + b"\n\n"
            case _:
                for chunk in chunks:
                    yield b"data: " + chunk.model_dump_json(exclude_none=True).encode() + b"\n\n"
                yield b"data: [DONE]\n\n"

    def whole(self, client: str, target: str, request: Any, answer: bytes) -> Any:
        made = self.chat(target, request, answer, stream=False)
        if client == "anthropic":
            return self._messages.translate_completion_output_params(made)
        return made.model_dump()

    def request(self, client: str, target: str, request: Any) -> Any:
        """The body that it would send. It changes what it is given."""
        request = deepcopy(request)
        if client == "anthropic":
            return dict(self._messages.translate_completion_input_params(request))
        if client == "responses":
            make = self._responses.transform_responses_api_request_to_chat_completion_request
            return dict(make(model="m-1", input=request["input"], responses_api_request=request))
        self.chat(target, request, whole_answer(target), stream=False)
        return self.sent


CHAT_REQUEST: Any = {
    "messages": [
        {"role": "system", "content": "Be."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": f"call_{name}",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Bern"}'},
                }
                for name in "ab"
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_b", "content": "rain"},
        {"role": "user", "content": "And?"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tells the weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
    ],
    "tool_choice": "required",
    "temperature": 0.5,
    "max_tokens": 1000,
    "stop": ["END"],
}
MESSAGES_REQUEST: Any = {
    "model": "m-1",
    "max_tokens": 1000,
    "system": "Be.",
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "call_a", "name": "weather", "input": {"city": "Bern"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_a", "content": "sunny"},
                {"type": "text", "text": "And?"},
            ],
        },
    ],
    "tools": [
        {
            "name": "weather",
            "description": "Tells the weather",
            "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
        }
    ],
    "tool_choice": {"type": "any"},
    "temperature": 0.5,
    "stop_sequences": ["END"],
}
RESPONSES_REQUEST: Any = {
    "instructions": "Be.",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "call_a", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_a", "output": "sunny"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "weather",
            "description": "Tells the weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            "strict": False,
        }
    ],
    "tool_choice": "auto",
    "temperature": 0.5,
    "max_output_tokens": 1000,
}
REQUESTS = {
    ("openai", "anthropic"): CHAT_REQUEST,
    ("anthropic", "openai"): MESSAGES_REQUEST,
    ("responses", "openai"): RESPONSES_REQUEST,
}
"""The pairs that litellm converts too, of those that users live on."""


def main() -> None:
    litellm = Litellm()
    told: dict[str, Any] = {}
    for (client, target), request in REQUESTS.items():
        told[f"{client} {target}"] = {
            "request": litellm.request(client, target, request),
            "stream": b"".join(litellm.stream(client, target, sse(*STREAMS[target]()))).decode(),
        }
    sys.stdout.write(json.dumps(told, default=str))


if __name__ == "__main__":
    main()
