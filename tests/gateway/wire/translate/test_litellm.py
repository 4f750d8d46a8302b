"""Beside litellm, on the same inputs: nothing differs but what `DIFFERENCES` gives a reason for."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.wire.translate import anthropic_read, openai_read
from gateway.wire.translate.registry import translation
from tests.gateway.wire.translate.litellm_side import REQUESTS
from tests.gateway.wire.translate.recorded import STREAMS, sse
from tests.gateway.wire.translate.telling import told_by

READ = {"openai": openai_read.read, "anthropic": anthropic_read.read}

DIFFERENCES: dict[tuple[str, str], dict[str, tuple[Any, Any]]] = {
    ("openai", "anthropic"): {},
    ("anthropic", "openai"): {
        # litellm leaves the reasoning tokens out of Anthropic's usage.
        "reasoning": (10, 0),
    },
    ("responses", "openai"): {},
}
"""By pair, what we tell and litellm tells: (ours, litellm's)."""


@cache
def litellms() -> Any:
    """In a process of its own, so that this one never loads it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.gateway.wire.translate.litellm_side"],
        capture_output=True,
        check=True,
        timeout=240,
        cwd=Path(__file__).parents[4],
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(("client", "target"), REQUESTS)
def test_the_same_request_goes_upstream(client: str, target: str) -> None:
    pair = translation(client, target)
    assert pair is not None
    model = "claude-sonnet-4-5" if target == "anthropic" else "m-1"
    request = json.dumps(REQUESTS[client, target]).encode()
    made = pair.request(request, model=model, stream=False)
    theirs = json.dumps(litellms()[f"{client} {target}"]["request"]).encode()
    ours, other = READ[target](made.body), READ[target](theirs)
    assert made.lost == ()
    for name in ("system", "turns", "tools", "choice", "sampling", "max_tokens", "stop"):
        mine, his = getattr(ours, name), getattr(other, name)
        assert _plain(mine) == _plain(his), name


def _plain(value: object) -> object:
    """Arguments of calls as values: where a blank stands in them is no difference."""
    text = msgspec.json.encode(value).decode().replace('": ', '":').replace('\\": ', '\\":')
    built: object = json.loads(text)
    return built


@pytest.mark.parametrize(("client", "target"), REQUESTS)
def test_the_same_answer_comes_down(client: str, target: str) -> None:
    pair = translation(client, target)
    assert pair is not None
    pair.request(json.dumps(_asking(client, target)).encode(), model="m", stream=True)
    stream = pair.stream()
    ours = told_by(client, stream.feed(sse(*STREAMS[target]())) + stream.end())
    theirs = told_by(client, litellms()[f"{client} {target}"]["stream"].encode())
    assert ours.whole
    assert theirs.whole
    for name, (mine, his) in _compared(ours, theirs).items():
        expected = DIFFERENCES[client, target].get(name)
        if expected is None:
            assert mine == his, name
        else:
            assert (mine, his) == expected, name


def _asking(client: str, target: str) -> Any:
    more = {"stream_options": {"include_usage": True}} if client == "openai" else {}
    return {**REQUESTS[client, target], **more}


def _compared(ours: Any, theirs: Any) -> dict[str, tuple[Any, Any]]:
    assert ours.used is not None
    assert theirs.used is not None
    return {
        "thoughts": (ours.thoughts, theirs.thoughts),
        "texts": (ours.texts, theirs.texts),
        "calls": (ours.content[3], theirs.content[3]),
        "stop": (ours.stop, theirs.stop),
        "input": (ours.used.input, theirs.used.input),
        "cached": (ours.used.cached, theirs.used.cached),
        "output": (ours.used.output, theirs.used.output),
        "reasoning": (ours.used.reasoning, theirs.used.reasoning),
    }
