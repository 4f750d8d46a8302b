"""Every pair's streams: what is told comes over, however the bytes are cut; an end is never made up."""

from __future__ import annotations

from random import Random

import pytest

from gateway.wire.translate.neutral import Stop, Used
from gateway.wire.translate.registry import translation
from tests.gateway.wire.translate.recorded import (
    CALLS,
    ERRORS,
    PAIRS,
    STREAMS,
    TERMINALS,
    TEXT,
    THOUGHT,
    events,
    sse,
)
from tests.gateway.wire.translate.telling import told_by

ASKED = {
    "openai": b'{"messages":[],"stream_options":{"include_usage":true}}',
    "responses": b'{"input":[]}',
    "anthropic": b'{"messages":[]}',
    "gemini": b'{"contents":[]}',
}


def translated(client: str, target: str, stream: bytes, *cuts: int, ends: bool = True) -> bytes:
    pair = translation(client, target, created=7)
    assert pair is not None
    pair.request(ASKED[client], model="m", stream=True)
    through = pair.stream()
    out, before = b"", 0
    for cut in (*sorted(cuts), len(stream)):
        out += through.feed(stream[before:cut])
        before = cut
    return out + (through.end() if ends else b"")


@pytest.mark.parametrize(("client", "target"), PAIRS)
@pytest.mark.parametrize("calls", [True, False])
@pytest.mark.parametrize("thought", [True, False])
def test_what_a_stream_tells_comes_over(
    client: str, target: str, calls: bool, thought: bool
) -> None:
    out = translated(client, target, sse(*STREAMS[target](calls=calls, thought=thought)))
    told = told_by(client, out)
    expected_calls = CALLS if calls else []
    assert told.content == (THOUGHT if thought else "", TEXT, "", expected_calls)
    assert told.whole
    assert told.failure is None
    assert told.started == 1
    assert told.model == "m-1"
    assert told.used == Used(input=100, cached=60, output=30, reasoning=10)
    if client in ("openai", "anthropic"):
        assert told.stop is (Stop.TOOLS if calls else Stop.DONE)


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_wherever_the_bytes_are_cut_the_same_comes_out(client: str, target: str) -> None:
    stream = sse(*STREAMS[target]())
    whole = translated(client, target, stream)
    assert translated(client, target, stream, *range(1, len(stream))) == whole
    rng = Random(f"{client} {target}")
    for _ in range(20):
        cuts = [rng.randrange(len(stream)) for _ in range(rng.randrange(1, 9))]
        assert translated(client, target, stream, *cuts) == whole


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_no_truncated_stream_gets_an_end(client: str, target: str) -> None:
    """Cut before the frame that makes it whole, which is for two dialects not the last one."""
    frames = [sse(each) for each in STREAMS[target]()]
    ends = {"openai": b'"finish_reason": "', "gemini": b"finishReason"}
    marker = ends.get(target, TERMINALS[target])
    last = next(place for place, frame in enumerate(frames) if marker in frame)
    for kept in range(last + 1):
        out = translated(client, target, b"".join(frames[:kept]))
        assert TERMINALS[client] not in out
        assert not told_by(client, out).whole
        assert told_by(client, out + b"").failure is None


@pytest.mark.parametrize(("client", "target"), PAIRS)
@pytest.mark.parametrize("before", [0, 5])
def test_a_failure_in_the_stream_is_the_clients_failure_and_its_last_word(
    client: str, target: str, before: int
) -> None:
    stream = STREAMS[target]()
    broken = sse(*stream[:before], ERRORS[target], *stream[before:])
    out = translated(client, target, broken)
    told = told_by(client, out)
    assert told.failure is not None
    assert told.failure.message == "Overloaded, sorry"
    assert not told.whole
    assert TERMINALS[client] not in out
    assert b"Overloaded, sorry" in out.rstrip().rsplit(b"\n\n", 1)[-1]


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_nothing_comes_out_of_rubbish(client: str, target: str) -> None:
    rubbish = b"<html>\n\ndata: {\n\ndata: [1]\n\ndata: null\n\n: ping\n\nevent: ping\n\n"
    assert translated(client, target, rubbish) == b""


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_fields_of_wrong_types_break_nothing(client: str, target: str) -> None:
    """Each field of each frame in turn replaced."""
    stream = STREAMS[target]()
    for place, event in enumerate(stream):
        if not isinstance(event, dict):
            continue
        for name in event:
            for value in (None, 3, "x", [], {}, [1], {"a": 1}):
                if name == "type" or name == "error":
                    continue
                bent = [*stream[:place], {**event, name: value}, *stream[place + 1 :]]
                translated(client, target, sse(*bent))


def test_a_half_emoji_does_not_stop_a_stream() -> None:
    stream = sse(*STREAMS["openai"]()).replace(b"weather", b"wea\\ud83dther")
    out = translated("anthropic", "openai", stream)
    assert told_by("anthropic", out).whole


def test_usage_in_a_chat_stream_comes_only_when_asked_for() -> None:
    pair = translation("openai", "anthropic")
    assert pair is not None
    pair.request(b'{"messages":[]}', model="m", stream=True)
    out = pair.stream().feed(sse(*STREAMS["anthropic"]()))
    assert b'"usage"' not in out
    assert events(out)[-1] == "[DONE]"
