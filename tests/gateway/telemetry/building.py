"""A configuration like most, and events that it could bring about."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from gateway.config import (
    Config,
    Credential,
    Dialect,
    Fallback,
    ModelRules,
    Provider,
    Route,
    RouteTarget,
)
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CooldownSource,
    CooldownStarted,
    Event,
    Failure,
    RequestFinished,
    RequestOutcome,
    Scope,
    SessionMoved,
    Stamped,
    Switched,
    SwitchKind,
    Usage,
)
from gateway.telemetry.catalogue import RETURN_REASONS, SESSION_MOVE_KINDS
from gateway.telemetry.labels import ENDINGS, MOVING, OTHER_RESTS, ROTATING
from gateway.units import Secret
from tests.storage.samples import example

ROUTES = {"coder": ("a/x", "b/y", "c/z"), "fast": ("a/small", "b/tiny"), "big": ("c/z", "a/x")}
PROVIDERS = ("a", "b", "c")
KEYS = ("first", "second")


def usual() -> Config:
    """Three routes over seven places, three providers of two keys each."""
    return Config(
        providers={name: provider(name) for name in PROVIDERS},
        routes=tuple(
            Route(name=name, targets=tuple(RouteTarget(target=target) for target in targets))
            for name, targets in ROUTES.items()
        ),
        fallback=Fallback(compatible={"a": ("b",)}),
    )


def provider(name: str, *, models: Sequence[str] = ()) -> Provider:
    return Provider(
        name=name,
        dialect=Dialect.OPENAI,
        credentials=tuple(Credential(name=key, key=Secret(f"secret {key}")) for key in KEYS),
        models=ModelRules(list=tuple(models)),
    )


def stamp(events: Sequence[Event], *, first: int = 1) -> list[Stamped]:
    return [Stamped(number, "boot", "one", event) for number, event in enumerate(events, first)]


def some_events(rng: Random, count: int) -> list[Event]:
    """Events of a random history, each one possible under `usual()`."""
    makers = (_request, _attempt, _switch, _cooldown, _session)
    return [rng.choice(makers)(rng, number) for number in range(count)]


def _place(rng: Random) -> tuple[str, str, str]:
    """Route, provider and model."""
    route = rng.choice([*ROUTES, "direct"])
    if route == "direct":
        return route, rng.choice(("a", "b")), f"whatever {rng.random()}"
    provider_name, _, model = rng.choice(ROUTES[route]).partition("/")
    return route, provider_name, model


def _pair(rng: Random) -> tuple[str, str, str]:
    route = rng.choice([*ROUTES, "direct"])
    origin, to = rng.sample(ROUTES.get(route, ("a/some", "b/thing")), 2)
    return route, origin, to


def _request(rng: Random, number: int) -> Event:
    route, origin, to = _pair(rng)
    fell_back = rng.random() < 0.4
    served = to if fell_back else origin
    found = rng.random() < 0.9
    return example(
        RequestFinished,
        request_id=f"r{number}",
        route=route if found else "",
        requested_model=f"client text {number}",
        outcome=rng.choice(list(RequestOutcome)),
        failure=rng.choice([None, Failure.OVERLOADED]),
        stream=rng.random() < 0.5,
        provider=served.partition("/")[0] if found else "",
        model=served.partition("/")[2] if found else "",
        attempts=rng.choice((0, 1, 2)),
        fallback_from=origin if fell_back and found else "",
        fallback_reason=rng.choice([*MOVING, "same_fault"]) if fell_back and found else "",
    )


def _attempt(rng: Random, number: int) -> Event:
    route, provider_name, model = _place(rng)
    outcome, failure = rng.choice(ENDINGS)
    return example(
        AttemptFinished,
        # Only after these failures another key of the same target may be next.
        request_id=f"r{number // 4}" if failure in ROTATING else f"r{number} alone",
        route=route,
        provider=provider_name,
        model=model,
        credential=rng.choice(KEYS),
        outcome=AttemptOutcome(outcome),
        failure=Failure(failure) if failure else None,
        probe=rng.random() < 0.1,
        usage=rng.choice([None, Usage(input_tokens=7, output_tokens=number)]),
        cost_usd=rng.choice([None, 0.25]),
        quota_remaining=None,
        first_content_seconds=rng.choice([None, 0.3]),
    )


def _switch(rng: Random, _: int) -> Event:
    route, origin, to = _pair(rng)
    targets = ROUTES.get(route, ())
    kinds = [SwitchKind.FORCED, SwitchKind.OPERATOR]
    if route == "direct" or targets.index(to) < targets.index(origin):
        kinds.append(SwitchKind.RETURN)
    kind = rng.choice(kinds)
    reasons = {
        SwitchKind.FORCED: [*MOVING, "pool_wide", "unavailable", "a new reason"],
        SwitchKind.RETURN: list(RETURN_REASONS),
        SwitchKind.OPERATOR: ["operator"],
    }
    return example(
        Switched,
        route=route,
        from_target=origin,
        to_target=to,
        switch=kind,
        reason=rng.choice(reasons[kind]),
        reversal=rng.random() < 0.3,
    )


def _cooldown(rng: Random, _: int) -> Event:
    route, provider_name, model = _place(rng)
    scope, reason, source, key = rng.choice(
        [
            (Scope.TARGET, Failure.OVERLOADED, CooldownSource.LADDER, ""),
            (Scope.TARGET, Failure.STREAM_BROKEN, CooldownSource.HOLD, ""),
            (Scope.CREDENTIAL_MODEL, Failure.RATE_LIMITED, CooldownSource.STATED, KEYS[0]),
            (Scope.CREDENTIAL, Failure.AUTH, CooldownSource.LADDER, KEYS[1]),
            *((scope, reason, source, "") for scope, reason, source in OTHER_RESTS),
        ]
    )
    return example(
        CooldownStarted,
        scope=scope,
        route=route if source is CooldownSource.HOLD else "",
        provider=provider_name,
        model="" if scope in (Scope.CREDENTIAL, Scope.PROVIDER) else model,
        credential=key,
        reason=str(reason),
        source=source,
        relapse=rng.random() < 0.5,
    )


def _session(rng: Random, _: int) -> Event:
    return example(
        SessionMoved, route=rng.choice([*ROUTES, "direct"]), move=rng.choice(SESSION_MOVE_KINDS)
    )
