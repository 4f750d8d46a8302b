"""What is written has every field that the official SDKs' types ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.wire.translate.registry import translation
from tests.gateway.wire.translate.recorded import PAIRS, STREAMS, events, sse, whole_answer

STREAMED: dict[str, TypeAdapter[Any]] = {
    "openai": TypeAdapter(ChatCompletionChunk),
    "responses": TypeAdapter(ResponseStreamEvent),
    "anthropic": TypeAdapter(RawMessageStreamEvent),
}
WHOLE: dict[str, TypeAdapter[Any]] = {
    "openai": TypeAdapter(ChatCompletion),
    "responses": TypeAdapter(Response),
    "anthropic": TypeAdapter(Message),
}
TYPED = [pair for pair in PAIRS if pair[0] in WHOLE]


@pytest.mark.parametrize(("client", "target"), TYPED)
def test_every_event_is_one_of_the_sdks(client: str, target: str) -> None:
    pair = translation(client, target)
    assert pair is not None
    stream = pair.stream()
    made = events(stream.feed(sse(*STREAMS[target]())) + stream.end())
    assert len(made) > 5
    for event in made:
        if event != "[DONE]":
            STREAMED[client].validate_python(event)


@pytest.mark.parametrize(("client", "target"), TYPED)
def test_a_whole_answer_is_one_of_the_sdks(client: str, target: str) -> None:
    pair = translation(client, target)
    assert pair is not None
    WHOLE[client].validate_python(json.loads(pair.answer(whole_answer(target))))
