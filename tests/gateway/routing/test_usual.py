"""What the usual choice is, and when it is none. That it is the one of `choosing` too is compared by
`ComparingPool` at every choice of these tests, of the simulation and of all others that play."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.config import Config, Credential, Rotation, RouteTarget
from gateway.events import CooldownEnd, Failure
from gateway.routing.affinity import Seat
from gateway.routing.choosing import Wanted
from gateway.routing.state import Candidate, CredentialState
from gateway.routing.usual import usual
from tests.gateway.routing.building import (
    START,
    Play,
    answer,
    at,
    bad,
    config,
    credential,
    everything,
    provider,
    route,
    sent,
)


def pool_of(*keys: str | Credential, **more: Any) -> Config:
    targets: list[str | RouteTarget] = [RouteTarget(target="p/m", context_tokens=1000), "q/m"]
    return config(
        provider("p", *keys, quota_groups={"g": ("m", "n")}, **more),
        provider("q"),
        routes=[route("coder", *targets), route("other", "p/x")],
    )


def found(of: Play, wanted: Wanted | None = None, name: str = "coder") -> Candidate | None:
    wanted = wanted or Wanted("openai")
    rng = of.pool._rng
    before = rng.getstate()
    made = usual(of.route(name), wanted, everything, rng)
    rng.setstate(before)
    if made is not None:
        assert of.pool.choose(of.route(name), wanted, START).candidate == made
    return made


def key(of: Play, index: int = 0) -> CredentialState:
    return of.pool.providers["p"].credentials[index]


def name_of(candidate: Candidate | None) -> str:
    return candidate.credential.name if candidate is not None else ""


def test_a_pool_at_peace_is_looked_through_once() -> None:
    it = Play(pool_of("a", "b"))
    assert name_of(found(it)) == "a"
    target = it.hop(0).target
    looked = target.at_peace
    assert looked == (target.provider.unrest.changes, True)
    for number in range(3):
        answer(_sent(it), number)
    assert target.at_peace is looked


def _sent(it: Play) -> Any:
    call = it.call()
    sent(call, 0.0)
    return call


def test_a_key_that_rests_or_is_on_trial_ends_it_until_it_is_proved() -> None:
    it = Play(pool_of("a", "b"))
    assert found(it)
    it.ask({"p/m a": bad(Failure.RATE_LIMITED, stated=20.0)})
    assert found(it) is None
    it.pool.expire(at(30.0))
    assert found(it) is None
    it.ask(now=30.0)  # The trial.
    assert name_of(found(it)) in {"a", "b"}


def test_an_operator_s_word_counts_as_proof() -> None:
    it = Play(pool_of("a", "b"))
    it.ask({"p/m a": bad(Failure.AUTH)})
    assert found(it) is None
    key(it).spot.end(CooldownEnd.OPERATOR, now=at(1.0))
    assert found(it)


def test_a_limit_is_about_its_own_model_or_group() -> None:
    it = Play(pool_of("a", "b"))
    it.ask({"p/m a": bad(Failure.RATE_LIMITED, stated=60.0)})
    assert found(it) is None
    assert name_of(found(it, name="other")) == "a"


@pytest.mark.parametrize(
    "trouble",
    ["hold", "target", "provider", "drained", "suppressed", "queue", "full", "pin", "moved"],
)
def test_whatever_is_out_of_the_ordinary_ends_it(trouble: str) -> None:
    it = Play(pool_of("a", max_in_flight=1))
    hop, owner = it.hop(0), it.pool.providers["p"]
    assert found(it)
    match trouble:
        case "hold":
            hop.hold.doubt(0, START.instant)
            it.ask({"p": bad(Failure.SERVER_ERROR)})
        case "target":
            hop.target.spot.doubt(0, START.instant)
        case "provider":
            owner.spot.doubt(0, START.instant)
        case "drained":
            hop.target.drained_until = at(5.0).instant
        case "suppressed":
            hop.penalty.suppressed_since = START.instant
        case "queue":
            owner.queue["r9"] = None
        case "full":
            sent(it.call(), 0.0)
        case "pin":
            it.route().pin = object()  # type: ignore[assignment]
        case _:
            it.route().active = it.hop(1)
    assert found(it) is None


@pytest.mark.parametrize(
    ("wanted", "usually"),
    [
        (Wanted("openai"), True),
        (Wanted("openai", 1000), True),
        (Wanted("openai", 1001), False),
        (Wanted("openai", tried={("p/m", "b")}), False),
        (Wanted("openai", given_up={"q/m"}), False),
        (Wanted("openai", spent={"q"}), False),
        (Wanted("openai", cannot=lambda _provider, _model: ""), True),
        (Wanted("openai", cannot=lambda _provider, _model: "No."), False),
    ],
)
def test_what_a_request_has_used_up_or_cannot_do_ends_it(wanted: Wanted, usually: bool) -> None:
    assert bool(found(Play(pool_of("a", "b")), wanted)) is usually


def test_a_dialect_that_nobody_translates_ends_it() -> None:
    it = Play(pool_of("a"))
    assert usual(it.route(), Wanted("x"), lambda *_: False, it.pool._rng) is None


def test_a_session_keeps_its_key_where_the_pointer_is_and_nowhere_else() -> None:
    it = Play(pool_of("a", "b", "c"))
    assert name_of(found(it, Wanted("openai", seat=Seat(it.hop(0), key(it, 2))))) == "c"
    elsewhere = Seat(it.hop(1), it.hop(1).target.provider.credentials[0])
    assert found(it, Wanted("openai", seat=elsewhere)) is None


def test_keys_before_the_chosen_one_need_room_where_there_are_caps() -> None:
    it = Play(pool_of(credential("a", max_in_flight=1), "b", "c"))
    seated = Wanted("openai", seat=Seat(it.hop(0), key(it, 1)))
    assert (name_of(found(it)), name_of(found(it, seated))) == ("a", "b")
    first = _sent(it)
    assert found(it) is None
    assert found(it, seated) is None
    answer(first, 1.0)
    assert (name_of(found(it)), name_of(found(it, seated))) == ("a", "b")


@pytest.mark.parametrize("rotation", Rotation)
def test_each_way_of_rotation_stays_in_its_best_tier(rotation: Rotation) -> None:
    keys = [credential(name, priority=each) for name, each in (("a", 2), ("b", 1), ("c", 1))]
    it = Play(pool_of(*keys, rotation=rotation))
    served = []
    for _ in range(20):
        served.append(name_of(found(it)))
        answer(_sent(it), 0.0)
    assert set(served) == ({"b"} if rotation is Rotation.SEQUENTIAL else {"b", "c"})


def test_a_reload_is_noticed() -> None:
    settings = pool_of("a", "b", "c")
    it = Play(settings)
    it.hop(0).target.current = key(it, 2)
    assert name_of(found(it)) == "c"
    fewer = replace(settings.providers["p"], credentials=settings.providers["p"].credentials[:2])
    it.pool.reconfigure(replace(settings, providers={**settings.providers, "p": fewer}), at(1.0))
    assert name_of(found(it)) == "a"
    none = replace(fewer, credentials=())
    it.pool.reconfigure(replace(settings, providers={**settings.providers, "p": none}), at(2.0))
    it.route().active = it.hop(0)
    assert found(it) is None


def test_the_usual_choice_costs_the_same_in_a_pool_of_any_size() -> None:
    from tests.gateway.routing.test_choosing import calls_of

    def work(keys: int) -> int:
        it = Play(pool_of(*[f"k{number}" for number in range(keys)]))
        found(it)
        return calls_of(lambda: usual(it.route(), Wanted("x"), everything, it._rng))

    assert work(200) == work(5)
