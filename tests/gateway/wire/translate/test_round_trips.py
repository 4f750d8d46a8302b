"""Generated conversations there and back, and bent bodies that must break nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.base import ClientError
from gateway.wire.translate import (
    anthropic_read,
    anthropic_write,
    gemini_read,
    gemini_write,
    openai_read,
    openai_write,
    responses_read,
    responses_write,
)
from gateway.wire.translate.neutral import (
    Call,
    Choice,
    Context,
    Conversation,
    Format,
    Media,
    Part,
    Result,
    Text,
    Tool,
    Turn,
)
from gateway.wire.translate.prepare import prepare
from gateway.wire.translate.registry import translation
from tests.gateway.wire.translate.recorded import PAIRS, STREAMS, sse, whole_answer
from tests.gateway.wire.translate.test_prepare import history

Write = Callable[[Conversation, Context], Any]
DIALECTS: dict[str, tuple[Callable[[bytes], Conversation], Write]] = {
    "openai": (
        openai_read.read,
        lambda talk, context: openai_write.write(talk, context, model="m", stream=False),
    ),
    "responses": (
        responses_read.read,
        lambda talk, context: responses_write.write(talk, context, model="m", stream=False),
    ),
    "anthropic": (
        anthropic_read.read,
        lambda talk, context: anthropic_write.write(
            talk, context, model="claude-sonnet-4-5", version="2023-06-01"
        ),
    ),
    "gemini": (
        gemini_read.read,
        lambda talk, context: gemini_write.write(talk, context, model="gemini-2.5-pro"),
    ),
}

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda said: bool(said.strip()) and said == said.rstrip()
)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
IDS = st.from_regex(r"call_[A-Za-z0-9]{8}", fullmatch=True)
ARGUMENTS = st.dictionaries(WORDS, st.one_of(st.none(), st.booleans(), st.integers(-9, 9), WORDS))
IMAGES = st.builds(Media, st.just("image"), st.just("image/png"), data=st.just("AAAA"))


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """What all four dialects can say."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    talk = Conversation(
        system=[Text(draw(WORDS))],
        tools=[Tool(name, draw(WORDS), {"type": "object", "properties": {}}) for name in names],
        choice=draw(st.sampled_from([Choice("auto"), Choice("required"), Choice("none")])),
        max_tokens=draw(st.integers(16, 9999)),
        sampling=draw(st.sampled_from([{}, {"temperature": 0.5}])),
        format=draw(st.sampled_from([None, Format({"type": "object", "properties": {}})])),
    )
    ids = iter(draw(st.lists(IDS, min_size=12, max_size=12, unique=True)))
    for _ in range(draw(st.integers(1, 3))):
        asked: list[Part] = [Text(draw(WORDS)), *draw(st.lists(IMAGES, max_size=1))]
        talk.turns.append(Turn("user", asked))
        calls: list[Part] = [
            Call(next(ids), draw(st.sampled_from(names)), json.dumps(draw(ARGUMENTS)))
            for _ in range(draw(st.integers(0, 3)))
        ]
        talk.turns.append(Turn("assistant", [Text(draw(WORDS)), *calls]))
        results: list[Part] = [
            Result(each.id, each.name, [Text(draw(WORDS))])
            for each in calls
            if isinstance(each, Call)
        ]
        if results:
            talk.turns.append(Turn("user", results))
            talk.turns.append(Turn("assistant", [Text(draw(WORDS))]))
    return talk


def said(talk: Conversation, *, ids: bool) -> Any:
    """The substance of it; without `ids`, as Google keeps it."""
    turns = []
    place: dict[str, str] = {}
    for turn in talk.turns:
        for part in turn.parts:
            match part:
                case Call():
                    name = place.setdefault(part.id, part.id if ids else f"call {len(place)}")
                    turns.append([turn.role, name, part.name, json.loads(part.arguments)])
                case Result():
                    told = "".join(each.text for each in part.parts if isinstance(each, Text))
                    turns.append([turn.role, place.get(part.id), told])
                case Text():
                    turns.append([turn.role, part.text])
                case Media():
                    turns.append([turn.role, part.kind, part.media_type, part.data])
    tools = [(each.name, each.description, each.schema) for each in talk.tools]
    form = None if talk.format is None else talk.format.schema
    system = [each.text for each in talk.system]
    return [system, turns, tools, talk.choice, talk.max_tokens, talk.sampling, form]


def through(talk: Conversation, dialect: str) -> Conversation:
    read, write = DIALECTS[dialect]
    context = Context("o")
    prepare(talk, context)
    return read(json.dumps(write(talk, context)).encode())


@pytest.mark.parametrize("first", DIALECTS)
@pytest.mark.parametrize("second", DIALECTS)
@settings(max_examples=15)
@given(talk=conversations())
def test_what_two_dialects_have_comes_back(first: str, second: str, talk: Conversation) -> None:
    ids = "gemini" not in (first, second)
    expected = said(talk, ids=ids)
    there = through(talk, first)
    assert there.lost == set()
    back = through(there, second)
    assert said(back, ids=ids) == expected


ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def bent(draw: st.DrawFn, value: Any) -> Any:
    """`value` with one place in it replaced, or taken away."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 9)) == 0:
            return {name: inner for name, inner in value.items() if name != key}
        return {**value, key: draw(bent(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(bent(value[place])), *value[place + 1 :]]
    return draw(ODD)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(("client", "target"), PAIRS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_bent_request_is_translated_or_the_clients_fault(
    client: str, target: str, data: st.DataObject
) -> None:
    request = data.draw(bent(history(client, json.loads(whole_answer(client)))))
    pair = translation(client, target)
    assert pair is not None
    try:
        made = pair.request(encoded(request), model="m", stream=True)
    except ClientError:
        return
    assert isinstance(json.loads(made.body), dict)


@pytest.mark.parametrize(("client", "target"), PAIRS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_bent_answer_is_translated_or_no_answer(
    client: str, target: str, data: st.DataObject
) -> None:
    answer = data.draw(bent(json.loads(whole_answer(target))))
    pair = translation(client, target)
    assert pair is not None
    try:
        made = pair.answer(encoded(answer))
    except ValueError:
        return
    assert isinstance(json.loads(made), dict)


@pytest.mark.parametrize(("client", "target"), PAIRS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_bent_stream_comes_out_as_frames(client: str, target: str, data: st.DataObject) -> None:
    events: list[Any] = [each for each in STREAMS[target]() if isinstance(each, dict)]
    place = data.draw(st.integers(0, len(events) - 1))
    events[place] = data.draw(bent(events[place]))
    stream = sse(*events)
    pair = translation(client, target)
    assert pair is not None
    whole = pair.stream()
    out = whole.feed(stream) + whole.end()
    cut = data.draw(st.integers(0, len(stream)))
    parts = pair.stream()
    assert parts.feed(stream[:cut]) + parts.feed(stream[cut:]) + parts.end() == out
    for frame in out.split(b"\n\n")[:-1]:
        told = frame.rsplit(b"data: ", 1)[-1]
        assert told == b"[DONE]" or isinstance(json.loads(told), dict)


@pytest.mark.parametrize(("client", "target"), PAIRS)
@settings(max_examples=20)
@given(body=st.binary(max_size=200), status=st.integers(400, 599))
def test_any_refusal_becomes_one_of_the_client(
    client: str, target: str, body: bytes, status: int
) -> None:
    pair = translation(client, target)
    assert pair is not None
    assert json.loads(pair.error(status, body))["error"]["message"]
