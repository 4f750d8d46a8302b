"""The operator's hand: what a person may do to the pool. Each act is an event with its actor.

Acts name things as the status does. Raises `UnknownPlace` for what is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from random import Random

from gateway.events import CooldownEnd, CooldownSource, Event, OperatorActed, SwitchKind
from gateway.routing import pointer
from gateway.routing.cooldown import Spot, Trigger
from gateway.routing.pool import Pool
from gateway.routing.readiness import stands_back
from gateway.routing.state import (
    FOR_GOOD,
    Evidence,
    HopState,
    Pin,
    ProviderState,
    RouteState,
    TargetState,
)
from gateway.units import Instant, Moment

REST_SECONDS = 3600.0
"""Of a rest without an expiry: a forgotten one must not take a target away for ever."""
NAMES_SHOWN = 5
"""Of those that exist, in a message about one that does not."""


class UnknownPlace(LookupError):
    """No such route, target, provider or credential; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who does it, why, and for how long (None: until it is undone)."""

    actor: str
    note: str = ""
    expires_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an act is about; an empty name means any. All empty: everything."""

    target: str = ""
    provider: str = ""
    credential: str = ""


class Hands:
    """Acts on one pool."""

    def __init__(self, pool: Pool, *, rng: Random) -> None:
        self._pool = pool
        self._rng = rng

    def reset(self, place: Place, act: Act, now: Moment) -> list[Event]:
        """Ends rests, holds and trials of the place at once, and lets routes go back to it.

        A penalty stays: whoever wants a flapping target back clears that as well.
        """
        self._known(place, now)
        events = self._told("reset", act, now, place=place)
        for spot in self._spots(place):
            events += spot.end(CooldownEnd.OPERATOR, now=now, actor=act.actor, note=act.note)
        if not place.credential:
            for target in self._targets(place):
                target.breaker.reset()
            events += self._back(place, now)
        self._pool.waiting.news()
        return events

    def rest(self, target: str, act: Act, now: Moment) -> list[Event]:
        """Lets a target rest from now on, for `expires_seconds` or an hour."""
        found = self._target(target, now)
        seconds = REST_SECONDS if act.expires_seconds is None else act.expires_seconds
        trigger = Trigger(pointer.OPERATOR, actor=act.actor, note=act.note)
        events = self._told("rest", act, now, place=Place(target=target), seconds=seconds)
        events += found.spot.rest(
            seconds, source=CooldownSource.OPERATOR, trigger=trigger, now=now, rng=self._rng
        )
        self._pool.rests.watch(found.spot)
        return events

    def drain(self, target: str, act: Act, now: Moment) -> list[Event]:
        """The target takes no new request; those under way end as they would."""
        found = self._target(target, now)
        found.drained_until = _end(act, now)
        place, seconds = Place(target=target), act.expires_seconds
        return self._told("drain", act, now, place=place, seconds=seconds)

    def enable(self, target: str, act: Act, now: Moment) -> list[Event]:
        """Undoes `rest` and `drain`."""
        found = self._target(target, now)
        found.drained_until = None
        events = self._told("enable", act, now, place=Place(target=target))
        rest = found.spot.cooldown
        if rest is not None and rest.source is CooldownSource.OPERATOR:
            events += found.spot.end(CooldownEnd.OPERATOR, now=now, actor=act.actor, note=act.note)
        self._pool.waiting.news()
        return events

    def pin(self, route: str, target: str, act: Act, now: Moment) -> list[Event]:
        """The route is served by this target as long as it can be; others stand in when not."""
        found = self._route(route)
        hop = next((hop for hop in found.hops if hop.target.name == target), None)
        if hop is None:
            names = ", ".join(hop.target.name for hop in found.hops)
            message = f"route {route!r} has no target {target!r}; it has {names}"
            raise UnknownPlace(message)
        before = found.pin.before if found.pin is not None else found.active
        found.pin = Pin(hop, _end(act, now), before)
        self._pool.restless[found] = None
        place, seconds = Place(target=target), act.expires_seconds
        events = self._told("pin", act, now, route=found, place=place, seconds=seconds)
        if found.active is not hop:
            events += pointer.move(found, hop, SwitchKind.OPERATOR, "pin", now=now)
        return events

    def unpin(self, route: str, act: Act, now: Moment) -> list[Event]:
        """The route chooses for itself again, from where it stood before the pin."""
        found = self._route(route)
        events = self._told("unpin", act, now, route=found)
        return events + pointer.unpin(found, "unpin", now=now)

    def clear_penalty(self, route: str, act: Act, now: Moment) -> list[Event]:
        """Forgets how restless the route's targets have been; a flapping route is calm at once."""
        found = self._route(route)
        events = self._told("clear_penalty", act, now, route=found)
        for hop in found.hops:
            since = hop.penalty.suppressed_since
            hop.penalty.clear()
            if since is not None:
                events.append(pointer.calmed(found, hop, since, now))
        return events

    # -- inside --------------------------------------------------------------------------------

    def _back(self, place: Place, now: Moment) -> list[Event]:
        """Pointers go up to a target that somebody has said is well again."""
        events: list[Event] = []
        for route in self._routes():
            meant = [
                hop for hop in route.hops[: route.active.index] if self._fits(place, hop.target)
            ]
            for hop in meant:
                hop.evidence = Evidence()
            best = next((hop for hop in meant if _may_serve(hop, now)), None)
            if best is not None and route.pin is None:
                events += pointer.move(route, best, SwitchKind.OPERATOR, "reset", now=now)
        return events

    def _routes(self) -> Iterator[RouteState]:
        yield from self._pool.routes.values()
        yield from self._pool.direct_routes()

    def _spots(self, place: Place) -> Iterator[Spot]:
        for provider in self._pool.providers.values():
            if not self._fits_provider(place, provider):
                continue
            if not place.target and not place.credential:
                yield provider.spot
            for key in provider.credentials:
                if place.credential not in ("", key.name):
                    continue
                if not place.target:
                    yield key.spot
                model = place.target.partition("/")[2]
                name = provider.limit_name(model)
                yield from (
                    spot for limit, spot in key.models.items() if not model or limit == name
                )
        if place.credential:
            return
        for target in self._targets(place):
            yield target.spot
        for route in self._routes():
            yield from (hop.hold for hop in route.hops if self._fits(place, hop.target))

    def _targets(self, place: Place) -> list[TargetState]:
        return [target for target in self._pool.targets() if self._fits(place, target)]

    def _fits(self, place: Place, target: TargetState) -> bool:
        if place.target:
            return target.name == place.target
        return place.provider in ("", target.provider.name)

    def _fits_provider(self, place: Place, provider: ProviderState) -> bool:
        name = place.provider or place.target.partition("/")[0]
        return name in ("", provider.name)

    def _known(self, place: Place, now: Moment) -> None:
        if place.target:
            target = self._target(place.target, now)
            if place.provider not in ("", target.provider.name):
                message = f"target {place.target!r} is none of provider {place.provider!r}"
                raise UnknownPlace(message)
        if place.provider and place.provider not in self._pool.providers:
            message = f"there is no provider {place.provider!r}"
            raise UnknownPlace(message)
        if place.credential:
            providers = self._pool.providers.values()
            near = [each for each in providers if self._fits_provider(place, each)]
            if not any(key.name == place.credential for each in near for key in each.credentials):
                message = f"there is no credential {place.credential!r}"
                raise UnknownPlace(message)

    def _target(self, name: str, now: Moment) -> TargetState:
        target = self._pool.target(name, now)
        if target is not None:
            return target
        known = sorted(each.name for each in self._pool.targets())
        near = get_close_matches(name, known, n=3, cutoff=0.5) or known[:NAMES_SHOWN]
        message = f"there is no target {name!r}; there are {', '.join(near)}"
        raise UnknownPlace(message)

    def _route(self, name: str) -> RouteState:
        route = self._pool.routes.get(name)
        if route is None:
            message = f"there is no route {name!r}; there are {', '.join(self._pool.routes)}"
            raise UnknownPlace(message)
        return route

    def _told(
        self,
        action: str,
        act: Act,
        now: Moment,
        *,
        route: RouteState | None = None,
        place: Place | None = None,
        seconds: float | None = None,
    ) -> list[Event]:
        place = place or Place()
        return [
            OperatorActed(
                ts=now.timestamp,
                actor=act.actor,
                action=action,
                route=route.chain.name if route is not None else "",
                target=place.target,
                provider=place.provider or place.target.partition("/")[0],
                credential=place.credential,
                note=act.note,
                until=None if seconds is None else now.later(seconds).timestamp,
            )
        ]


def _end(act: Act, now: Moment) -> Instant:
    """When the act is over by itself."""
    seconds = act.expires_seconds
    return FOR_GOOD if seconds is None else Instant(now.instant + seconds)


def _may_serve(hop: HopState, now: Moment) -> bool:
    if stands_back(hop, now.instant) or hop.target.drained(now.instant):
        return False
    return bool(hop.target.provider.credentials)
