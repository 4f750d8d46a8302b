"""What the core and the relay say to each other about one request: facts in, steps out. Data only."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from gateway.config import Credential, Provider
from gateway.events import Failure, Scope, Usage
from gateway.routing.answer import Part, Refusal
from gateway.routing.clocks import Clocks
from gateway.units import AttemptId, Moment, RequestId


class Facts(Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a request before any candidate is looked at."""

    request_id: RequestId
    trace_id: str
    span_id: str
    parent_span_id: str
    session: str
    client: str
    endpoint: str
    dialect: str
    requested_model: str
    stream: bool
    body_tokens: int
    bytes_received: int
    began: Moment
    """When the request's headers were there."""
    conversation: str = ""
    """For a client without session ids: a hash of how the conversation begins."""
    continued: str = ""
    """And one with its first answer in it, which tells apart conversations that begin alike."""
    first_turn: bool = False
    """No answer is part of it yet, so there is no cache to lose."""
    reasoning: bool = False
    """It asks for thinking before the answer: the clocks to first content are longer."""
    deadline_seconds: float | None = None
    """How long the client itself will wait for the first content, where it says so."""
    client_retries: int = 0
    """How often the client's SDK has asked already, where it says so."""
    no_fallback: bool = False
    """The client wants the first target's answer or its error, nobody else's."""


class Send(Struct, frozen=True, gc=False):
    """Make one attempt."""

    attempt_id: AttemptId
    span_id: str
    provider: Provider
    credential: Credential
    model: str
    probe: bool
    timeouts: Clocks
    by_deadline: bool
    """The first-content clock is what is left of the request's deadline: its end blames nobody."""
    drop: tuple[str, ...] = ()
    """Fields of the body that the target is not sent."""
    adapt: bool = False
    """With the history that was adapted for this target."""


class Wait(Struct, frozen=True, gc=False):
    """Ask again after so many seconds, or as soon as `Waiting.woken` names the request."""

    seconds: float


class GiveUp(Struct, frozen=True, kw_only=True):
    """Answer the client. `own_fault`: hand through the provider's answer to a bad request."""

    failure: Failure | None
    own_fault: bool
    refusal: Refusal | None
    """None exactly where `own_fault` holds."""
    parts: tuple[Part, ...]
    hand_on: bool = False
    """The client asked for the provider's own error, where it has one."""


Step: TypeAlias = Send | Wait | GiveUp


class Bad(Struct, frozen=True, kw_only=True, gc=False):
    """A failed attempt, classified."""

    failure: Failure
    reason: str
    scope: Scope | None = None
    """What it blames, where that is known better than the failure's own scope."""
    stated_seconds: float | None = None
    message: str = ""
    repairs: tuple[str, ...] = ()
    """What of the history can be adapted so that this target might take the request after all."""
    processed: bool = True
    """False where the provider surely did nothing with the request."""
    excerpt: str = ""
    """Of an unknown failure: how the provider's answer begins, redacted."""


class Seen(Struct, frozen=True, kw_only=True, gc=False):
    """What the relay saw of an attempt."""

    status: int | None = None
    upstream_request_id: str = ""
    bytes_sent: int = 0
    usage: Usage | None = None
    cost_usd: float | None = None
    dropped: tuple[str, ...] = ()
    """Fields of the body that the target was not sent."""
    translated: str = ""
    """From which dialect to which; empty where the target speaks the client's."""
    answer_id: str = ""
    """Under which the provider keeps the answer; empty if it does not."""
    quota_remaining: float | None = None
    """The smallest share that its headers say is left of a limit."""
