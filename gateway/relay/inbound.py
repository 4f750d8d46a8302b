"""A client's request as the relay gets it: read, allowed, and ready to be sent any number of times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote

from gateway.config import Provider
from gateway.config_spoken import spoken
from gateway.events import Event
from gateway.routing.steps import Facts
from gateway.wire.adapting import Foreign, adapt
from gateway.wire.base import Wire
from gateway.wire.body import drop_fields
from gateway.wire.headers import to_upstream, to_upstream_query
from gateway.wire.unsealing import unsealed

MODEL_CHARS = "/:@!$&'()*+,;="
"""Legal in a path as they are; a model's name may hold slashes and colons."""

FOREIGN_THINKING = "foreign_thinking"
"""What is said to be dropped where a seal of another target was."""

Emit: TypeAlias = Callable[[Sequence[Event]], None]
"""Hands events to the spine; never waits, never raises."""

Dropped: TypeAlias = tuple[bytes, tuple[str, ...]]
"""A body, and the fields that were taken out of it."""


@dataclass(slots=True, kw_only=True)
class Inbound:
    wire: Wire
    path: str
    """Below the dialect's root, for upstream; `{model}` stands where the model's name belongs."""
    raw_query: str
    raw_headers: Sequence[tuple[str, str]]
    body: bytes
    facts: Facts
    crossing: list[tuple[str, str]] | None = None
    """Those of `raw_headers` that go upstream, where they are known already."""
    query: str = field(init=False)
    """Without the client's key."""
    upstream_headers: list[tuple[str, str]] = field(init=False)
    """Without any credential of the client's, the same for every attempt."""
    _bodies: dict[tuple[str, tuple[str, ...]], Dropped] = field(init=False, default_factory=dict)
    _adapted: dict[tuple[str, tuple[str, ...]], Dropped] = field(init=False, default_factory=dict)

    @property
    def session_word(self) -> str:
        """Two clients' sessions have different ones, also where they call them alike."""
        named = self.facts.session or self.facts.conversation
        return f"{self.facts.client}\n{named}" if named else ""

    def __post_init__(self) -> None:
        self.query = to_upstream_query(self.raw_query)
        known = self.crossing
        self.upstream_headers = to_upstream(self.raw_headers) if known is None else known

    def asked_as_is(self, provider: Provider) -> bool:
        """Whether `provider` is asked in the client's own dialect."""
        return spoken(provider, self.wire.name) == self.wire.name

    def path_for(self, model: str) -> str:
        return self.path.replace("{model}", quote(model, safe=MODEL_CHARS))

    def body_for(self, model: str, drop: tuple[str, ...] = (), *, adapted: bool = False) -> Dropped:
        """The client's body with the upstream's name for the model and without the fields in
        `drop`, and no other byte changed; beside it which of them were there. What translations
        have sealed for other targets goes, too: nobody else can read it.

        `adapted`: with the history as `adapt` left it.
        """
        key = (model, drop)
        if adapted:
            return self._adapted[key]
        found = self._bodies.get(key)
        if found is None:
            body, had_seals = unsealed(self.body)
            body, dropped = drop_fields(body, drop) if drop else (body, ())
            dropped = (FOREIGN_THINKING, *dropped) if had_seals else dropped
            if model != self.facts.requested_model:
                body = self.wire.with_model(body, model)
            found = self._bodies[key] = (body, dropped)
        return found

    def adapt(self, model: str, drop: tuple[str, ...], foreign: Foreign) -> tuple[str, ...]:
        """Makes the body without what the provider has refused, and says what that was; nothing
        where all of it was adapted before."""
        key = (model, drop)
        body, dropped = self.body_for(model, drop, adapted=key in self._adapted)
        body, done = adapt(body, foreign)
        if done:
            self._adapted[key] = (body, dropped)
        return done
