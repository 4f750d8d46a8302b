"""The demo's traffic: a few agent-like clients of the gateway, as any client would be.

They speak both dialects, stream or not, keep sessions with growing histories, call tools, and now
and then send nonsense or hang up. What they are answered is looked at by nobody but the gateway.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any

import aiohttp

from gateway.units import Clock

RATE_PER_MINUTE = 100.0
"""More than the demo's best key may serve, so that its limit is seen within the first minute."""
SESSIONS = 8
"""Clients at once; each has at most one request under way."""
TURNS = (4, 14)
"""Of one session, from and to."""
TIMEOUT_SECONDS = 60.0
UNREACHABLE_PAUSE_SECONDS = 2.0
"""Before a client whose gateway does not answer at all tries again."""
ODD_SHARE = 0.05
"""Of the requests: those with a mistake, and those whose client hangs up."""

_ASKED = (
    "Why does the second test fail?",
    "Rename the function and its callers.",
    "What does this error mean?",
    "Write the changelog line for this.",
    "Which branch has the fix?",
    "Make the retry wait longer.",
    "Explain the last diff in one paragraph.",
    "Find where the limit is read.",
)
_FILE = "def steer(course: float) -> float:\n    return course % 360.0\n"
_SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
_ARGUMENTS = {"path": "boat/rudder.py"}


class Odd(Enum):
    """What a client does wrong now and then."""

    NO_JSON = "no_json"
    UNKNOWN_MODEL = "unknown_model"
    NO_MESSAGES = "no_messages"
    HANGS_UP = "hangs_up"


@dataclass(slots=True, kw_only=True)
class Session:
    """One client's conversation."""

    name: str
    model: str
    anthropic: bool
    stream: bool
    agent: bool
    """It has tools: every second turn brings a tool's result."""
    turns_left: int
    turn: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)


class Traffic:
    """Clients of the gateway at `base_url`; `run` goes on until it is cancelled."""

    def __init__(
        self,
        *,
        base_url: str,
        models: Sequence[str],
        rng: Random,
        clock: Clock,
        client_key: str = "",
        rate_per_minute: float = RATE_PER_MINUTE,
    ) -> None:
        self.statuses: Counter[int] = Counter()
        """What the clients were answered; 0 stands for no answer at all."""
        self._base_url = base_url.rstrip("/")
        self._models = tuple(models)
        self._rng = rng
        self._clock = clock
        self._key = client_key
        self._pause_seconds = 60.0 * SESSIONS / rate_per_minute

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as group:
            for _ in range(SESSIONS):
                group.create_task(self._client(http))

    async def _client(self, http: aiohttp.ClientSession) -> None:
        """One session after the other."""
        session = self._begun()
        while True:
            await self._clock.sleep(self._rng.expovariate(1.0 / self._pause_seconds))
            if session.turns_left <= 0:
                session = self._begun()
            advance(session, self._rng)
            try:
                status = await self._ask(http, session)
            except (aiohttp.ClientError, OSError):
                # The gateway restarts, or broke off: a client has to live with both.
                status = 0
            self.statuses[status] += 1
            if status == 0:
                await self._clock.sleep(UNREACHABLE_PAUSE_SECONDS)

    def _begun(self) -> Session:
        rng = self._rng
        return Session(
            name=f"demo-{rng.getrandbits(32):08x}",
            model=rng.choice(self._models),
            anthropic=rng.random() < 0.5,
            stream=rng.random() < 0.75,
            agent=rng.random() < 0.6,
            turns_left=rng.randint(*TURNS),
        )

    async def _ask(self, http: aiohttp.ClientSession, session: Session) -> int:
        odd = self._rng.choice(list(Odd)) if self._rng.random() < ODD_SHARE else None
        path = "/v1/messages" if session.anthropic else "/v1/chat/completions"
        async with http.post(
            self._base_url + path,
            data=body(session, odd),
            headers=headers(session, self._key),
            allow_redirects=False,
        ) as response:
            if odd is Odd.HANGS_UP:
                await response.content.readany()
                response.close()
            else:
                async for _ in response.content.iter_any():
                    pass
            return response.status


def advance(session: Session, rng: Random) -> None:
    """The next turn: a question, or for an agent the result of the tool it called."""
    if session.agent and session.turn % 2:
        session.messages += _tool_turn(f"{session.name}-{session.turn}", session)
    else:
        if session.messages:
            session.messages.append({"role": "assistant", "content": "Done."})
        session.messages.append({"role": "user", "content": rng.choice(_ASKED)})
    session.turn += 1
    session.turns_left -= 1


def _tool_turn(call_id: str, session: Session) -> list[dict[str, Any]]:
    if session.anthropic:
        use = {"type": "tool_use", "id": call_id, "name": "read_file", "input": _ARGUMENTS}
        result = {"type": "tool_result", "tool_use_id": call_id, "content": _FILE}
        return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    function = {"name": "read_file", "arguments": json.dumps(_ARGUMENTS)}
    call = {"id": call_id, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": _FILE},
    ]


def body(session: Session, odd: Odd | None) -> bytes:
    """The request of the session's present turn, with a mistake where one is due."""
    fields: dict[str, Any] = {
        "model": "keel-gigantic" if odd is Odd.UNKNOWN_MODEL else session.model,
        "messages": [] if odd is Odd.NO_MESSAGES else session.messages,
        "max_tokens": 400,
        "stream": session.stream,
    }
    if session.agent:
        fields["tools"] = [_tool(anthropic=session.anthropic)]
    if session.stream and not session.anthropic:
        fields["stream_options"] = {"include_usage": True}
    text = json.dumps(fields).encode()
    return text[:-10] if odd is Odd.NO_JSON else text


def _tool(*, anthropic: bool) -> dict[str, Any]:
    about = {"name": "read_file", "description": "Reads a file of the project."}
    if anthropic:
        return {**about, "input_schema": _SCHEMA}
    return {"type": "function", "function": {**about, "parameters": _SCHEMA}}


def headers(session: Session, key: str) -> dict[str, str]:
    made = {
        "content-type": "application/json",
        "user-agent": "evenkeel-demo",
        "x-session-id": session.name,
    }
    if session.anthropic:
        made["anthropic-version"] = "2023-06-01"
    if key:
        made["x-api-key" if session.anthropic else "authorization"] = (
            key if session.anthropic else f"Bearer {key}"
        )
    return made
