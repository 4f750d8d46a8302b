"""What a translation costs beside litellm's, on the same bytes, in turn, in one process.

CPU time of the process. litellm gets its bytes from a transport in memory: its own machinery (call
set-up, chunk wrapper, adapter) is measured, and no network.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from time import process_time
from typing import Any

from gateway.wire.translate.registry import translation
from tests.benchmarks.report import Figures, show
from tests.benchmarks.scenarios import Rig
from tests.gateway.wire.translate.litellm_side import REQUESTS, Litellm
from tests.gateway.wire.translate.recorded import STREAMS, TEXT, sse, whole_answer

ROUNDS = 7
CHUNKS = 400
OUR_TURNS = 25
"""So often ours runs for each time of litellm's: the clock is too coarse for one."""
OUR_CALLS = 200
THEIR_CALLS = 10
MICROS = 1e6


def translate() -> None:
    litellm = Litellm()
    note = f"CPU; a text of {CHUNKS} chunks, each read and written as JSON; client<-target"
    show("Translated streams", note, _streams(litellm), base="litellm")
    note = "CPU; one request with tools and its whole answer; litellm's includes its completion()"
    show("Translated calls", note, _calls(litellm), base="litellm")


def measured(rig: Rig) -> Figures:
    """As a part of the whole run."""
    rounds = min(ROUNDS, rig.scale.rounds)
    litellm = Litellm()
    streams, calls = _streams(litellm, rounds), _calls(litellm, rounds)
    return {name: {**streams[name], **calls[name]} for name in streams}


def _streams(litellm: Litellm, rounds: int = ROUNDS) -> Figures:
    figures: dict[str, dict[str, list[float]]] = {"ours": {}, "litellm": {}}
    for client, target in REQUESTS:
        name = f"{client}<-{target}"
        stream, chunks = _long_stream(target), CHUNKS
        ours: list[float] = []
        theirs: list[float] = []
        _ours_stream(client, target, stream)
        _all(litellm.stream(client, target, b"".join(stream)))
        for _ in range(rounds):
            spent = _spent(_ours_stream, client, target, stream, times=OUR_TURNS)
            ours.append(spent / chunks)
            whole = b"".join(stream)
            spent = _spent(lambda *of: _all(litellm.stream(*of)), client, target, whole, times=1)
            theirs.append(spent / chunks)
        figures["ours"][f"{name} us/chunk"] = ours
        figures["litellm"][f"{name} us/chunk"] = theirs
    return figures


def _calls(litellm: Litellm, rounds: int = ROUNDS) -> Figures:
    figures: dict[str, dict[str, list[float]]] = {"ours": {}, "litellm": {}}
    for (client, target), request in REQUESTS.items():
        if client == "responses":
            continue  # Its bridge cannot be asked for a whole answer apart from its machinery.
        answer = whole_answer(target)
        body = json.dumps(request).encode()
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):
            ours.append(_spent(_ours_call, client, target, body, answer, times=OUR_CALLS))
            theirs.append(
                _spent(_their_call, litellm, client, target, request, answer, times=THEIR_CALLS)
            )
        figures["ours"][f"{client}<-{target} us/call"] = ours
        figures["litellm"][f"{client}<-{target} us/call"] = theirs
    return figures


def _spent(call: Callable[..., object], *of: object, times: int) -> float:
    began = process_time()
    for _ in range(times):
        call(*of)
    return (process_time() - began) / times * MICROS


def _all(frames: Any) -> int:
    return sum(len(frame) for frame in frames)


def _ours_stream(client: str, target: str, stream: list[bytes]) -> int:
    """Chunk by chunk, as they come from a network."""
    pair = translation(client, target)
    assert pair is not None
    through = pair.stream()
    feed = through.feed
    return sum(len(feed(chunk)) for chunk in stream) + len(through.end())


def _ours_call(client: str, target: str, body: bytes, answer: bytes) -> None:
    pair = translation(client, target)
    assert pair is not None
    pair.request(body, model="m-1", stream=False)
    pair.answer(answer)


def _their_call(litellm: Litellm, client: str, target: str, request: Any, answer: bytes) -> None:
    chat = litellm.request(client, target, request) if client == "anthropic" else request
    json.dumps(litellm.whole(client, target, chat, answer), default=str)


def _long_stream(target: str) -> list[bytes]:
    """A recorded stream whose text goes on for many chunks."""
    events = STREAMS[target](calls=False, thought=False)
    place = next(
        place for place, event in enumerate(events) if isinstance(event, dict) and _is_text(event)
    )
    piece = sse(events[place])
    said = json.dumps(TEXT[:3], ensure_ascii=False).encode()
    assert said in piece
    # All different: litellm ends a stream that repeats itself.
    pieces = [piece.replace(said, b'" word %d"' % number) for number in range(CHUNKS)]
    before, after = (
        (sse(each) for each in events[:place]),
        (sse(each) for each in events[place + 1 :]),
    )
    return [*before, *pieces, *after]


def _is_text(event: dict[str, Any]) -> bool:
    if event.get("type") == "content_block_delta":
        return "text" in event["delta"]
    return any(choice["delta"].get("content") for choice in event.get("choices", ()))
