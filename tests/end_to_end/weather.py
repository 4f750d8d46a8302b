"""Seeded trouble: upstreams that fail in every way, and clients that ask for anything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from random import Random

import aiohttp

from tests.end_to_end.gateways import ANTHROPIC_PATH, OPENAI_PATH, Client, Got, asked
from tests.upstream import Answer, ScriptedUpstream, anthropic_error, empty, html, openai_error

CLIENTS = 12
"""At once."""
REFUSED_PAUSE_SECONDS = 0.1
PLANNED = 800
"""Answers of one upstream; more than it will be asked for."""

_FINE = [
    Answer(),
    Answer(text=("One", " two", " three", " four", " five"), between_chunks=0.01),
    Answer(tool=("read_file", '{"path": "keel.py"}')),
]
_BAD = [
    openai_error(429, "rate_limit_exceeded", headers={"retry-after": "1"}),
    openai_error(429, "insufficient_quota", "You have no credit left."),
    Answer(status=429, json={}),
    Answer(status=401, json={"error": {"message": "No such key."}}),
    Answer(status=402, json={}),
    Answer(status=403, json={}),
    Answer(status=500, json={}),
    Answer(status=503, json={"error": {"message": "The model is overloaded."}}),
    anthropic_error(529, "overloaded_error"),
    Answer(reset=True),
    Answer(cut_after=0),
    Answer(cut_after=2),
    Answer(hang=True),
    Answer(hang_after=0),
    Answer(hang_after=2),
    empty(),
    html(),
    html(502),
    Answer(json={"error": {"message": "Inside a 200."}}),
    Answer(status=302, headers={"location": "https://example.org/"}),
    openai_error(400, "invalid_value", "A bad request."),
    openai_error(400, "context_length_exceeded", "Too long."),
]
FINE_SHARE = 0.6


def forecast(upstream: ScriptedUpstream, rng: Random) -> None:
    upstream.plan(
        *(rng.choice(_FINE if rng.random() < FINE_SHARE else _BAD) for _ in range(PLANNED))
    )


class Manner(Enum):
    """How a client behaves."""

    USUAL = "usual"
    HANGS_UP = "hangs_up"
    NO_JSON = "no_json"
    UNKNOWN_MODEL = "unknown_model"


MANNERS = {Manner.USUAL: 20, Manner.HANGS_UP: 2, Manner.NO_JSON: 1, Manner.UNKNOWN_MODEL: 1}
"""How many of each, roughly."""


@dataclass(frozen=True, slots=True)
class Errand:
    path: str
    model: str
    stream: bool
    manner: Manner


@dataclass
class Seen:
    """What the clients saw."""

    answers: list[Got] = field(default_factory=list)
    hung_up: int = 0


def errands(rng: Random, count: int, models: list[str]) -> list[Errand]:
    return [
        Errand(
            path=rng.choice((OPENAI_PATH, ANTHROPIC_PATH)),
            model=rng.choice(models),
            stream=rng.random() < 0.5,
            manner=rng.choices(list(MANNERS), list(MANNERS.values()))[0],
        )
        for _ in range(count)
    ]


async def run(client: Client, todo: list[Errand]) -> Seen:
    """Sends all of them, some at once."""
    seen, left = Seen(), list(reversed(todo))

    async def one() -> None:
        while left:
            await _do(client, left.pop(), seen)

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(one())
    return seen


async def _do(client: Client, errand: Errand, seen: Seen) -> None:
    model = "nobody-knows" if errand.manner is Manner.UNKNOWN_MODEL else errand.model
    body: object = asked(errand.path, model, stream=errand.stream)
    if errand.manner is Manner.NO_JSON:
        body = b'{"model": '
    if errand.manner is Manner.HANGS_UP:
        seen.hung_up += 1
        await _hang_up(client, errand, body)
        return
    got = await client.post(errand.path, body)
    seen.answers.append(got)
    if got.status in (429, 503):
        # Else the whole crowd would be refused within the one second in which everything rests.
        await asyncio.sleep(REFUSED_PAUSE_SECONDS)


async def _hang_up(client: Client, errand: Errand, body: object) -> None:
    """Goes away with the first bytes of the answer."""
    async with aiohttp.ClientSession() as http:
        response = await http.post(client.url + errand.path, json=body)
        await response.content.readany()
        response.close()
