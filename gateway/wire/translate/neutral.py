"""A conversation and an answer without a dialect: what the readers make and the writers take.

Everything here is of the wire's own making and short-lived; a reader fills it once, a writer reads
it once. Names of what has no place in it go into `lost`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal, TypeAlias

import msgspec

Json: TypeAlias = dict[str, Any]
MediaKind: TypeAlias = Literal["image", "file", "audio", "video"]
Role: TypeAlias = Literal["user", "assistant", "system"]


class Seal(msgspec.Struct, frozen=True):
    """What only its maker can read: a signature, an encrypted thought. See `seals.py`."""

    origin: str
    kind: str
    payload: str = ""


class Text(msgspec.Struct):
    text: str
    cache: Json | None = None
    """Anthropic's `cache_control`."""


class Media(msgspec.Struct):
    """An image, file, sound or film: `data` in base64, or `url`, or a vendor's `file_id`."""

    kind: MediaKind
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    name: str = ""
    detail: str = ""
    cache: Json | None = None


class Thought(msgspec.Struct):
    text: str
    seal: Seal | None = None
    """None: nobody's, so it goes to nobody."""


class Refusal(msgspec.Struct):
    text: str


class Call(msgspec.Struct):
    id: str
    name: str
    arguments: str
    """JSON text; of a custom tool the text that it is given."""
    seal: Seal | None = None
    custom: bool = False
    cache: Json | None = None


class Result(msgspec.Struct):
    id: str
    name: str
    parts: list[Text | Media]
    is_error: bool = False
    custom: bool = False
    cache: Json | None = None


Part: TypeAlias = Text | Media | Thought | Refusal | Call | Result


class Turn(msgspec.Struct):
    role: Role
    parts: list[Part]


class Tool(msgspec.Struct):
    name: str
    description: str = ""
    schema: Json = {}
    strict: bool | None = None
    custom: bool = False
    """It takes free text and no JSON (Responses)."""
    cache: Json | None = None


class Choice(msgspec.Struct, frozen=True):
    mode: Literal["auto", "none", "required", "named"]
    name: str = ""


class Reasoning(msgspec.Struct):
    effort: str = ""
    """`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`; empty: not said."""
    budget: int | None = None
    """Tokens."""
    shown: bool = False
    """The client wants to read the thoughts, or their summary."""

    @property
    def off(self) -> bool:
        return self.effort == "none" or self.budget == 0


class Format(msgspec.Struct):
    """The form of the answer: any JSON, or JSON of a schema."""

    schema: Json | None = None
    name: str = "answer"
    strict: bool | None = None
    description: str = ""


class Conversation(msgspec.Struct):
    system: list[Text] = []
    turns: list[Turn] = []
    tools: list[Tool] = []
    choice: Choice | None = None
    parallel: bool | None = None
    sampling: dict[str, float] = {}
    """`temperature`, `top_p`, `top_k`, `seed`, `presence_penalty`, `frequency_penalty`."""
    max_tokens: int | None = None
    stop: list[str] = []
    reasoning: Reasoning | None = None
    format: Format | None = None
    user: str = ""
    cache_key: str = ""
    metadata: Json = {}
    tier: str = ""
    verbosity: str = ""
    usage_in_stream: bool = False
    """Chat: the client asked for it."""
    lost: set[str] = set()

    def add(self, role: Role, parts: list[Part]) -> None:
        """Turns of one role that follow each other are one: Anthropic and Gemini want it so."""
        if not parts:
            return
        if self.turns and self.turns[-1].role == role:
            self.turns[-1].parts += parts
        else:
            self.turns.append(Turn(role, list(parts)))


class Stop(Enum):
    """Why an answer ended."""

    DONE = "done"
    LENGTH = "length"
    TOOLS = "tools"
    SEQUENCE = "sequence"
    FILTERED = "filtered"
    REFUSED = "refused"
    PAUSED = "paused"
    CONTEXT = "context"
    """The context window is full."""


class Used(msgspec.Struct):
    """Tokens; `input` includes what was cached and written to the cache."""

    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    """Reasoning included."""
    reasoning: int = 0


class Answer(msgspec.Struct):
    id: str
    model: str
    parts: list[Part]
    stop: Stop
    sequence: str = ""
    used: Used | None = None


class Failed(msgspec.Struct):
    """An error of the target."""

    message: str
    kind: str = ""
    """The target's own type or status word."""
    code: str = ""
    status: int = 0
    """0: not said, as in the middle of a stream."""


class Context(msgspec.Struct):
    """What an answer has to know of its request, and of the attempt."""

    origin: str
    created: int = 0
    """Unix time, seconds."""
    names: dict[str, str] = {}
    """Tools that had to be renamed for the target: its name → the client's."""
    custom: frozenset[str] = frozenset()
    """Tools that take free text, by the client's name."""
    calls: int = 0
    """How many calls the conversation held: keeps ids that are made here apart."""
    usage_in_stream: bool = False
