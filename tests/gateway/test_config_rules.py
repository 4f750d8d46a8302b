"""What a configuration must fulfil beyond its types, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.config import (
    Auth,
    Client,
    Config,
    Credential,
    Dialect,
    Durability,
    ErrorRule,
    Fallback,
    LiteLLM,
    ModelRules,
    Price,
    Provider,
    Retention,
    Route,
    RouteTarget,
    Server,
    SharedState,
    Simulated,
    Storage,
    Telemetry,
)
from gateway.config_rules import check, public_bind, warn
from gateway.config_urls import is_loopback
from gateway.events import Failure, Scope
from gateway.routing.vendors import VENDORS
from gateway.units import Secret


def key(name: str = "main", secret: str = "k") -> Credential:
    return Credential(name=name, key=Secret(secret))


OPENAI = Provider(
    name="openai",
    dialect=Dialect.OPENAI,
    base_url="https://api.example.com/v1",
    credentials=(key(),),
)
SIMULATED = Provider(name="sim", dialect=Dialect.SIMULATED, credentials=(key("one", ""),))
SOUND = Config(providers={"openai": OPENAI, "sim": SIMULATED})


def route(*targets: str, name: str = "coder", **values: Any) -> Route:
    aims = tuple(RouteTarget(target=each) for each in targets)
    return Route(name=name, targets=aims, **values)


def dropping(*names: str) -> Route:
    return Route(name="coder", targets=(RouteTarget(target="sim/a", drop=names),))


def rule(failure: Failure, scope: Scope) -> ErrorRule:
    return ErrorRule(failure=failure, status=418, scope=scope)


def lines(config: Config) -> list[str]:
    found = check(config, providers=set(config.providers))
    return [f"{each.path}: {each.text}" for each in found]


def with_openai(**values: Any) -> Config:
    return replace(SOUND, providers={"openai": replace(OPENAI, **values)})


def with_client(*clients: Client, **values: Any) -> Config:
    return replace(SOUND, auth=Auth(clients=clients, **values))


def test_a_sound_configuration_has_no_problem() -> None:
    config = replace(
        SOUND,
        routes=(route("openai/gpt-5.2", "sim/org/model"), route("sim/a", name="team/coder")),
        fallback=Fallback(
            compatible={"openai": ("sim",)},
            model_names={"openai/a": "sim/b"},
            groups=(("openai/a", "sim/b"),),
        ),
    )
    assert lines(config) == []
    assert warn(config) == []


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.5", False),
        ("gateway.example.com", False),
    ],
)
def test_a_public_bind_needs_clients_and_an_admin_key(host: str, *, loopback: bool) -> None:
    client = Client(name="a", key=Secret("k"))
    assert is_loopback(host) is loopback
    assert (public_bind(host, Auth()) is None) is loopback
    assert (public_bind(host, Auth(clients=(client,))) is None) is loopback
    assert (public_bind(host, Auth(admin_key=Secret("k"))) is None) is loopback
    assert public_bind(host, Auth(clients=(client,), admin_key=Secret("a"))) is None


def test_the_refusal_of_a_public_bind_says_what_to_set() -> None:
    [line] = lines(replace(SOUND, server=Server(host="192.168.1.5")))
    assert line == (
        "server.host: '192.168.1.5' can be reached from other machines: "
        "set auth.clients and auth.admin_key, or listen on 127.0.0.1"
    )


@pytest.mark.parametrize(
    ("config", "path"),
    [
        (replace(SOUND, server=Server(workers=2)), "server.workers"),
        (replace(SOUND, shared_state=SharedState(url="redis://x")), "shared_state.url"),
    ],
)
def test_what_this_version_cannot_do_is_refused(config: Config, path: str) -> None:
    [line] = lines(config)
    assert line.startswith(f"{path}: ")
    assert line.endswith("is not available in this version")


def test_content_is_captured_for_a_collector_only() -> None:
    alone = replace(SOUND, telemetry=Telemetry(capture_content=True))
    [line] = lines(alone)
    assert line.startswith("telemetry.capture_content: needs an otlp_endpoint")
    there = Telemetry(capture_content=True, otlp_endpoint="http://127.0.0.1:4318")
    assert not lines(replace(SOUND, telemetry=there))


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            with_openai(litellm=LiteLLM(api_version="1")),
            "providers.openai.litellm: only for the dialect 'litellm'",
        ),
        (Config(), "providers: none is configured; at least one is needed"),
        (
            with_client(Client(name="a", key=Secret("k")), Client(name="b", key=Secret("k"))),
            "auth.clients[1].key: is the same as that of 'a'",
        ),
        (with_client(Client(name="a", key=Secret(""))), "auth.clients[0].key: must not be empty"),
        (with_client(Client(name="", key=Secret("k"))), "auth.clients[0].name: must not be empty"),
        (
            with_openai(credentials=(key("a", "1"), key("b", "1"))),
            "providers.openai.credentials[1].key: is the same as that of 'a'",
        ),
        (
            with_openai(credentials=(key("main", ""),)),
            "providers.openai.credentials[0].key: "
            "must not be empty; a keyless server: credentials: []",
        ),
        (
            with_openai(credentials=(key("main", "a\nb"),)),
            "providers.openai.credentials[0].key: holds characters that cannot stand in a header",
        ),
        (
            with_openai(credentials=(key("my key"),)),
            "providers.openai.credentials[0].name: must be made of letters, digits and . _ : @ + -",
        ),
        (
            with_openai(base_url=""),
            "providers.openai.base_url: "
            "required: the provider's address, an http(s) URL that ends in /v1",
        ),
        (
            with_openai(quota_groups={"a": ("m", "n"), "b": ("n",)}),
            "providers.openai.quota_groups.b: the model 'n' is also in group 'a'",
        ),
        (
            with_openai(quota_groups={"a": ()}),
            "providers.openai.quota_groups.a: needs at least one model",
        ),
        (
            with_openai(errors=(ErrorRule(failure=Failure.AUTH),)),
            "providers.openai.errors[0]: needs a status, a code, a header or a body to look for",
        ),
        (
            with_openai(errors=(ErrorRule(failure=Failure.AUTH, header=" : x"),)),
            "providers.openai.errors[0].header: must be the name of a header, or `name: text`",
        ),
        (
            with_openai(errors=(ErrorRule(failure=Failure.AUTH, code="x", rest_seconds=9.0),)),
            "providers.openai.errors[0].rest_seconds: no time is heeded for 'auth'",
        ),
        (
            with_openai(vendor="grok"),
            f"providers.openai.vendor: 'grok' is none of {', '.join(sorted(VENDORS))}",
        ),
        (
            with_openai(prices={"gpt-*": Price(input_per_million=-1.0)}),
            "providers.openai.prices.gpt-*.input_per_million: must be at least 0, not -1",
        ),
        (
            with_openai(errors=(rule(Failure.AUTH, Scope.QUOTA_GROUP),)),
            "providers.openai.errors[0].scope: a quota group is found by `quota_groups`, "
            "not by a rule",
        ),
        (
            with_openai(errors=(rule(Failure.BAD_REQUEST, Scope.TARGET),)),
            "providers.openai.errors[0].scope: nothing rests for 'bad_request'",
        ),
        (
            with_openai(errors=(rule(Failure.OVERLOADED, Scope.CREDENTIAL),)),
            "providers.openai.errors[0].scope: 'overloaded' is about a target or a provider, "
            "not about a credential",
        ),
        (
            with_openai(simulated=Simulated(seed=2)),
            "providers.openai.simulated: only for the dialect 'simulated'",
        ),
        (
            replace(
                SOUND,
                providers={
                    "sim": replace(SIMULATED, simulated=Simulated(dead_credentials=("two",)))
                },
            ),
            "providers.sim.simulated.dead_credentials[0]: 'two' is no credential of this provider",
        ),
        (
            replace(SOUND, providers={"a/b": replace(SIMULATED, name="a/b")}),
            "providers.a/b: a provider's name is made of letters, digits and . _ : @ + -",
        ),
        (
            replace(SOUND, routes=(route("opnai/gpt"),)),
            "routes[0].targets[0].target: 'opnai' is no configured provider; "
            "did you mean 'openai'?",
        ),
        (
            replace(SOUND, routes=(route("gpt"),)),
            "routes[0].targets[0].target: must be written provider/model, not 'gpt'",
        ),
        (replace(SOUND, routes=(route(),)), "routes[0].targets: needs at least one target"),
        (
            replace(SOUND, routes=(route("sim/a", "sim/a"),)),
            "routes[0].targets: 'sim/a' stands here more than once",
        ),
        (
            replace(SOUND, routes=(dropping("thinking", "model"),)),
            "routes[0].targets[0].drop: 'model' cannot be dropped: no request works without it",
        ),
        (
            replace(SOUND, routes=(dropping("a\nb"),)),
            "routes[0].targets[0].drop: a field's name is made of letters, digits and _ - .",
        ),
        (
            replace(SOUND, routes=(route("sim/a", name="sim/b"),)),
            "routes[0].name: 'sim/b' reads as a model of the provider 'sim'",
        ),
        (
            replace(SOUND, routes=(route("sim/a", name=""),)),
            "routes[0].name: must be made of letters, digits and . _ : @ + - /",
        ),
        (
            replace(SOUND, routes=(route("sim/a", name="direct"),)),
            "routes[0].name: 'direct' is what requests for provider/model are recorded under",
        ),
        (
            replace(SOUND, fallback=Fallback(compatible={"sim": ("nobody",)})),
            "fallback.compatible.sim: 'nobody' is no configured provider",
        ),
        (
            replace(SOUND, fallback=Fallback(compatible={"sim": ("sim",)})),
            "fallback.compatible.sim: a provider does not stand in for itself",
        ),
        (
            replace(SOUND, fallback=Fallback(model_names={"sim/a": "b"})),
            "fallback.model_names.sim/a: must be written provider/model, not 'b'",
        ),
        (
            replace(SOUND, fallback=Fallback(groups=(("sim/a",),))),
            "fallback.groups[0]: needs at least two targets",
        ),
        (
            replace(SOUND, fallback=Fallback(groups=(("sim/a", "sim/b"), ("sim/c", "sim/a")))),
            "fallback.groups[1]: 'sim/a' stands already in groups[0]",
        ),
        (
            replace(SOUND, storage=Storage(url="mysql://x")),
            "storage.url: must look like 'sqlite+aiosqlite:///evenkeel.db' or "
            "'postgresql+asyncpg://host/name'",
        ),
        (
            replace(SOUND, storage=Storage(url="postgresql+asyncpg://host")),
            "storage.url: must name a database, as in postgresql+asyncpg://host/name",
        ),
        (
            replace(SOUND, storage=Storage(retention=Retention(switches_days=0))),
            "storage.retention.switches_days: must be at least 1, not 0",
        ),
        (
            replace(SOUND, storage=Storage(retention=Retention(max_bytes=9_999_999))),
            "storage.retention.max_bytes: must be 10000000 or more",
        ),
        (
            replace(SOUND, storage=Storage(url="sqlite+aiosqlite:///:memory:")),
            "storage.url: must name a file",
        ),
    ],
)
def test_a_broken_rule_is_told_with_its_path(config: Config, line: str) -> None:
    assert lines(config) == [line]


def test_names_that_stand_twice_are_told_at_each_place() -> None:
    twice = replace(
        with_client(Client(name="a", key=Secret("1")), Client(name="a", key=Secret("2"))),
        routes=(route("sim/a"), route("sim/b")),
        providers={"sim": replace(SIMULATED, credentials=(key("c"), key("c")))},
    )
    assert [line.partition(":")[0] for line in lines(twice)] == [
        "auth.clients[0].name",
        "auth.clients[1].name",
        "providers.sim.credentials[0].name",
        "providers.sim.credentials[1].name",
        "routes[0].name",
        "routes[1].name",
    ]


@pytest.mark.parametrize("secret", ["", "k"])
def test_a_keyless_server_has_one_credential_named_default(secret: str) -> None:
    assert lines(with_openai(credentials=(key("default", secret),))) == []


def test_a_provider_that_was_written_but_not_readable_counts_as_known() -> None:
    config = replace(SOUND, routes=(route("broken/a"),))
    assert check(config, providers={"openai", "broken"}) == []


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            with_openai(base_url="http://127.0.0.1:8080/v1"),
            "providers.openai.base_url: is the gateway's own address; a request would never end",
        ),
        (
            with_openai(base_url="https://api.example.com"),
            "providers.openai.base_url: has no path; most addresses of this dialect end in /v1",
        ),
        (
            with_openai(credentials=(key("default", ""),)),
            "providers.openai.credentials: no key is known for this provider",
        ),
        (
            replace(with_openai(models=ModelRules(allow=("gpt-*",))), routes=(route("openai/o5"),)),
            "routes[0].targets[0]: 'openai/o5' is ruled out by the provider's models",
        ),
    ],
)
def test_what_was_probably_not_meant_is_a_warning(config: Config, line: str) -> None:
    assert lines(config) == []
    assert warn(config) == [line]


@pytest.mark.parametrize(
    "storage",
    [
        Storage(durability=Durability.STRICT),
        Storage(url="postgresql+asyncpg://me:secret@host:5432/evenkeel"),
        Storage(url="postgresql://host/evenkeel"),
        Storage(retention=Retention(attempts_days=1, switches_days=1, max_bytes=50_000_000)),
    ],
)
def test_what_the_store_can_do_is_accepted(storage: Storage) -> None:
    assert lines(replace(SOUND, storage=storage)) == []
