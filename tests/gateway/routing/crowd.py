"""Requests that overlap, in virtual time: waits, wake-ups, streams that last, clients that leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from gateway.routing.call import Call, Phase
from gateway.routing.steps import Bad, GiveUp, Send, Wait
from tests.gateway.routing.building import NOT_SEEN, SEEN, Play, at, candidate_of

Fails = Callable[[Send, float], Bad | None]
"""Whether an attempt that was sent at this time fails, and how."""


def never(_send: Send, _now: float) -> None:
    return None


@dataclass(slots=True)
class Guest:
    """One request, and what became of it."""

    call: Call
    arrived: float
    sends: list[tuple[float, str]] = field(default_factory=list)
    """When it was sent where."""
    send: Send | None = None
    gave_up: tuple[float, GiveUp] | None = None
    turn: int = 0
    """A wake-up of an earlier turn is no news."""

    @property
    def where(self) -> str:
        """Who served it; empty if nobody did."""
        return self.sends[-1][1] if self.sends and self.gave_up is None else ""

    @property
    def waited(self) -> float:
        """Seconds to its first attempt."""
        return round(self.sends[0][0] - self.arrived, 6)


class Crowd:
    """Drives whole requests on one pool; `run` carries on until the given time."""

    def __init__(self, play: Play, *, stream_seconds: float = 3.0, fails: Fails = never) -> None:
        self.play = play
        self.now = 0.0
        self.guests: list[Guest] = []
        self._stream_seconds = stream_seconds
        self._fails = fails
        self._agenda: list[tuple[float, int, int, str, Guest]] = []
        self._order = 0

    def arrive(
        self, count: int = 1, *, now: float | None = None, name: str = "coder", **more: Any
    ) -> list[Guest]:
        """So many requests at once, each of which takes its first step right away."""
        if now is not None:
            self.run(now)
        guests = []
        for _ in range(count):
            guest = Guest(self.play.call(name, now=self.now, **more), self.now)
            guests.append(guest)
            self.guests.append(guest)
            self._step(guest)
            self._wake()
        return guests

    def leave(self, guest: Guest) -> None:
        """The client goes away."""
        if guest.call.phase is not Phase.DONE:
            guest.turn += 1
            guest.call.abandoned(at(self.now), NOT_SEEN)
            self._wake()

    def run(self, until: float) -> None:
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, turn, what, guest = heappop(self._agenda)
            if turn != guest.turn:
                continue
            match what:
                case "step":
                    self._step(guest)
                case "fail":
                    self._fail(guest)
                case _:
                    self._finish(guest)
            self._wake()
        self.now = until

    def in_flight(self, provider: str) -> int:
        return self.play.pool.providers[provider].in_flight

    # -- inside --------------------------------------------------------------------------------

    def _later(self, seconds: float, what: str, guest: Guest) -> None:
        self._order += 1
        guest.turn += 1
        heappush(self._agenda, (self.now + seconds, self._order, guest.turn, what, guest))

    def _wake(self) -> None:
        """Whom the pool names looks again at once."""
        named = set(self.play.pool.waiting.woken())
        for guest in self.guests:
            if guest.call.facts.request_id in named:
                self._later(0.0, "step", guest)

    def _step(self, guest: Guest) -> None:
        self.play.events += self.play.pool.expire(at(self.now))
        step, events = guest.call.step(at(self.now))
        self.play.events += events
        match step:
            case Send():
                guest.send = step
                guest.sends.append((self.now, candidate_of(step)))
                if self._fails(step, self.now) is not None:
                    self._later(0.1, "fail", guest)
                    return
                self.play.events += guest.call.committed(at(self.now))
                self._later(self._stream_seconds, "finish", guest)
            case Wait():
                self._later(step.seconds, "step", guest)
            case GiveUp():
                guest.gave_up = (self.now, step)

    def _fail(self, guest: Guest) -> None:
        assert guest.send is not None
        fault = self._fails(guest.send, self.now)
        assert fault is not None
        self.play.events += guest.call.failed(fault, at(self.now), NOT_SEEN)
        self._later(0.0, "step", guest)

    def _finish(self, guest: Guest) -> None:
        self.play.events += guest.call.finished(at(self.now), SEEN)
