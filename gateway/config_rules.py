"""What a well-typed configuration must fulfil beyond its types.

Each rule is a generator of problems over the finished `Config`; `RULES` lists them all. Values are
quoted only where they are names: anything else might be a key in the wrong place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Final
from urllib.parse import urlsplit

from gateway import config_bounds, config_levels, config_oauth
from gateway.config import (
    Auth,
    Config,
    Dialect,
    ErrorRule,
    LiteLLM,
    Provider,
    Route,
    Server,
    Simulated,
)
from gateway.config_shape import nearest
from gateway.config_urls import is_loopback, url_fault
from gateway.config_yaml import Problem
from gateway.events import Scope
from gateway.routing.classify import WAITABLE
from gateway.routing.policy import POLICY, Blame
from gateway.routing.vendors import VENDORS

MAX_BYTES_MIN = 10_000_000
"""Of the history: below this its own tables and indexes would leave no room for rows."""
MISSING = "is not available in this version"


NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,99}")
"""Names travel in headers, labels and paths."""
RESERVED_ROUTES: Final = frozenset({"direct"})
"""What requests for `provider/model` are recorded under."""
FIELD: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""Names of a body's fields; they travel in a header."""
NEVER_DROPPED: Final = frozenset({"model", "messages", "input", "contents", "stream"})
"""What a request asks, and how it is to be answered."""
NEEDS_NO_URL: Final = frozenset({Dialect.SIMULATED, Dialect.LITELLM})
KEYLESS_DIALECTS: Final = frozenset({Dialect.SIMULATED, Dialect.CODE_ASSIST, Dialect.LITELLM})
"""Their credentials have no `key`: nobody is asked, or an OAuth account is."""
ENDINGS: Final = {
    Dialect.OPENAI: " that ends in /v1",
    Dialect.GEMINI: " that ends in the version, such as /v1beta",
    Dialect.CODE_ASSIST: " that ends in the version, such as /v1internal",
}
USUAL_PATHS: Final = {Dialect.OPENAI: "/v1", Dialect.GEMINI: "/v1beta"}
KEYLESS: Final = "default"
"""Name of the one credential of a server that asks for no key."""


def check(config: Config, *, providers: Collection[str]) -> list[Problem]:
    """All problems. `providers` are the names that somebody wrote, readable or not."""
    found = [problem for rule in RULES for problem in rule(config)]
    found += _targets_known(config, providers)
    return found


def warn(config: Config) -> list[str]:
    """What is allowed but probably not meant, one line each with its path."""
    found = [line for each in config.providers.values() for line in _doubts(each, config.server)]
    found += [line for each in config.providers.values() for line in config_oauth.terms(each)]
    for n, route in enumerate(config.routes):
        for m, each in enumerate(route.targets):
            provider = config.providers.get(each.provider)
            if provider and not provider.models.permits(each.model):
                where = f"routes[{n}].targets[{m}]"
                found.append(f"{where}: {each.target!r} is ruled out by the provider's models")
    return [*found, *config_levels.without_effect(config)]


def _server(config: Config) -> Iterator[Problem]:
    if config.server.workers > 1:
        yield Problem("server.workers", f"more than one worker {MISSING}")
    if problem := public_bind(config.server.host, config.auth):
        yield problem


def public_bind(host: str, auth: Auth) -> Problem | None:
    """The refusal to be reachable by others without asking anybody for a key."""
    if is_loopback(host) or (auth.clients and auth.admin_key):
        return None
    lacking = [
        name
        for name, given in (("auth.clients", auth.clients), ("auth.admin_key", auth.admin_key))
        if not given
    ]
    message = (
        f"{host!r} can be reached from other machines: set {' and '.join(lacking)}, "
        "or listen on 127.0.0.1"
    )
    return Problem("server.host", message)


def _clients(config: Config) -> Iterator[Problem]:
    names = Counter(each.name for each in config.auth.clients)
    first: dict[str, str] = {}
    for n, client in enumerate(config.auth.clients):
        path = f"auth.clients[{n}]"
        if not client.name.strip() or not client.name.isprintable():
            yield Problem(f"{path}.name", "must not be empty")
        elif names[client.name] > 1:
            yield Problem(f"{path}.name", f"{client.name!r} stands here more than once")
        key = client.key.reveal()
        if not key:
            yield Problem(f"{path}.key", "must not be empty")
        elif key in first:
            yield Problem(f"{path}.key", f"is the same as that of {first[key]!r}")
        first.setdefault(key, client.name)


def _storage(config: Config) -> Iterator[Problem]:
    scheme, _, rest = config.storage.url.partition("://")
    if scheme in {"postgresql", "postgresql+asyncpg"}:
        if "/" not in rest or rest.endswith("/"):
            yield Problem(
                "storage.url", "must name a database, as in postgresql+asyncpg://host/name"
            )
    elif scheme not in {"sqlite", "sqlite+aiosqlite"} or not rest.startswith("/"):
        yield Problem(
            "storage.url",
            "must look like 'sqlite+aiosqlite:///evenkeel.db' or 'postgresql+asyncpg://host/name'",
        )
    elif rest in {"/", "/:memory:"}:
        yield Problem("storage.url", "must name a file")
    if 1 <= config.storage.retention.max_bytes < MAX_BYTES_MIN:
        yield Problem("storage.retention.max_bytes", f"must be {MAX_BYTES_MIN} or more")
    if config.shared_state.url:
        yield Problem("shared_state.url", f"shared state {MISSING}")
    if config.telemetry.capture_content and not config.telemetry.otlp_endpoint:
        message = "needs an otlp_endpoint: prompts and answers go onto spans, and nowhere else"
        yield Problem("telemetry.capture_content", message)
    if config.telemetry.otlp_endpoint and (said := url_fault(config.telemetry.otlp_endpoint)):
        yield Problem("telemetry.otlp_endpoint", said)


def _providers(config: Config) -> Iterator[Problem]:
    if not config.providers:
        yield Problem("providers", "none is configured; at least one is needed")
    for name, provider in config.providers.items():
        path = f"providers.{name}"
        if not NAME.fullmatch(name):
            yield Problem(path, "a provider's name is made of letters, digits and . _ : @ + -")
        yield from _base_url(provider, path)
        yield from _credentials(provider, path)
        yield from config_oauth.problems(provider, path)
        yield from _quota_groups(provider, path)
        if provider.vendor and provider.vendor not in VENDORS:
            known = ", ".join(sorted(VENDORS))
            yield Problem(f"{path}.vendor", f"{provider.vendor!r} is none of {known}")
        for n, rule in enumerate(provider.errors):
            yield from _error_rule(rule, f"{path}.errors[{n}]")


def _error_rule(rule: ErrorRule, path: str) -> Iterator[Problem]:
    if rule.status is None and not (rule.code or rule.header or rule.body):
        yield Problem(path, "needs a status, a code, a header or a body to look for")
    if rule.header and not rule.header.partition(":")[0].strip():
        yield Problem(f"{path}.header", "must be the name of a header, or `name: text`")
    if said := _scope(rule):
        yield Problem(f"{path}.scope", said)
    if rule.rest_seconds is not None and rule.failure not in WAITABLE:
        yield Problem(f"{path}.rest_seconds", f"no time is heeded for {rule.failure.value!r}")


def _scope(rule: ErrorRule) -> str:
    """Why the scope of an operator's rule does not go with its failure; empty if it does."""
    blame, scope = POLICY[rule.failure].blame, rule.scope
    if scope is None:
        return ""
    if scope is Scope.QUOTA_GROUP:
        return "a quota group is found by `quota_groups`, not by a rule"
    if blame is Blame.NOBODY:
        return f"nothing rests for {rule.failure.value!r}"
    if blame is not Blame.CAPACITY and scope not in (Scope.TARGET, Scope.PROVIDER):
        return f"{rule.failure.value!r} is about a target or a provider, not about a credential"
    return ""


def _base_url(provider: Provider, path: str) -> Iterator[Problem]:
    if provider.dialect in NEEDS_NO_URL and not (
        provider.base_url and provider.dialect is Dialect.LITELLM
    ):
        return
    here = f"{path}.base_url"
    if not provider.base_url:
        ending = ENDINGS.get(provider.dialect, "")
        yield Problem(here, f"required: the provider's address, an http(s) URL{ending}")
    elif said := url_fault(provider.base_url):
        yield Problem(here, said)


def _doubts(provider: Provider, server: Server) -> Iterator[str]:
    if provider.dialect is Dialect.SIMULATED or url_fault(provider.base_url):
        return
    where = f"providers.{provider.name}"
    parts = urlsplit(provider.base_url)
    local = is_loopback(parts.hostname or "")
    if local and parts.port == server.port:
        yield f"{where}.base_url: is the gateway's own address; a request would never end"
    usual = USUAL_PATHS.get(provider.dialect)
    if usual and not parts.path.strip("/"):
        yield f"{where}.base_url: has no path; most addresses of this dialect end in {usual}"
    keyless = provider.dialect in KEYLESS_DIALECTS
    if not local and not keyless and not any(each.key for each in provider.credentials):
        yield f"{where}.credentials: no key is known for this provider"


def _credentials(provider: Provider, path: str) -> Iterator[Problem]:
    names = Counter(each.name for each in provider.credentials)
    first: dict[str, str] = {}
    for n, credential in enumerate(provider.credentials):
        here = f"{path}.credentials[{n}]"
        if not NAME.fullmatch(credential.name):
            yield Problem(f"{here}.name", "must be made of letters, digits and . _ : @ + -")
        elif names[credential.name] > 1:
            yield Problem(f"{here}.name", f"{credential.name!r} stands here more than once")
        key = credential.key.reveal()
        keyless = len(provider.credentials) == 1 and credential.name == KEYLESS
        if provider.dialect not in KEYLESS_DIALECTS:
            if not key and not keyless:
                yield Problem(f"{here}.key", "must not be empty; a keyless server: credentials: []")
            elif key and key in first:
                yield Problem(f"{here}.key", f"is the same as that of {first[key]!r}")
            elif not (key.isprintable() and key.isascii()):
                yield Problem(f"{here}.key", "holds characters that cannot stand in a header")
        first.setdefault(key, credential.name)
    for n, dead in enumerate(provider.simulated.dead_credentials):
        if dead not in names:
            here = f"{path}.simulated.dead_credentials[{n}]"
            yield Problem(here, f"{dead!r} is no credential of this provider")
    if provider.dialect is not Dialect.LITELLM and provider.litellm != LiteLLM():
        yield Problem(f"{path}.litellm", "only for the dialect 'litellm'")
    if provider.dialect is not Dialect.SIMULATED and provider.simulated != Simulated():
        yield Problem(f"{path}.simulated", "only for the dialect 'simulated'")


def _quota_groups(provider: Provider, path: str) -> Iterator[Problem]:
    group_of: dict[str, str] = {}
    for group, models in provider.quota_groups.items():
        here = f"{path}.quota_groups.{group}"
        if not models:
            yield Problem(here, "needs at least one model")
        for model in models:
            if group_of.setdefault(model, group) != group:
                yield Problem(here, f"the model {model!r} is also in group {group_of[model]!r}")


def _routes(config: Config) -> Iterator[Problem]:
    names = Counter(each.name for each in config.routes)
    for n, route in enumerate(config.routes):
        path = f"routes[{n}]"
        if problem := _route_name(route, config):
            yield Problem(f"{path}.name", problem)
        elif names[route.name] > 1:
            yield Problem(f"{path}.name", f"{route.name!r} stands here more than once")
        if not route.targets:
            yield Problem(f"{path}.targets", "needs at least one target")
        targets = Counter(each.target for each in route.targets)
        for target, times in targets.items():
            if times > 1:
                yield Problem(f"{path}.targets", f"{target!r} stands here more than once")
        for m, each in enumerate(route.targets):
            for name in each.drop:
                where = f"{path}.targets[{m}].drop"
                if name in NEVER_DROPPED:
                    yield Problem(where, f"{name!r} cannot be dropped: no request works without it")
                elif not FIELD.fullmatch(name):
                    yield Problem(where, "a field's name is made of letters, digits and _ - .")


def _route_name(route: Route, config: Config) -> str:
    first, slash, _ = route.name.partition("/")
    if not all(NAME.fullmatch(part) for part in route.name.split("/")):
        return "must be made of letters, digits and . _ : @ + - /"
    if slash and first in config.providers:
        return f"{route.name!r} reads as a model of the provider {first!r}"
    if route.name in RESERVED_ROUTES:
        return f"{route.name!r} is what requests for provider/model are recorded under"
    return ""


def _targets_known(config: Config, providers: Collection[str]) -> Iterator[Problem]:
    """Every `provider/model`, and every provider in `fallback`, is one that exists."""
    fallback = config.fallback
    for n, route in enumerate(config.routes):
        for m, aim in enumerate(route.targets):
            yield from _target(aim.target, f"routes[{n}].targets[{m}].target", providers)
    for name, others in fallback.compatible.items():
        path = f"fallback.compatible.{name}"
        for each in dict.fromkeys((name, *others)):
            yield from _known(each, path, providers)
        if name in others:
            yield Problem(path, "a provider does not stand in for itself")
    for asked, served in fallback.model_names.items():
        path = f"fallback.model_names.{asked}"
        yield from _target(asked, path, providers)
        yield from _target(served, path, providers)
    group_of: dict[str, int] = {}
    for n, group in enumerate(fallback.groups):
        path = f"fallback.groups[{n}]"
        if len(group) < 2:
            yield Problem(path, "needs at least two targets")
        for target in group:
            yield from _target(target, path, providers)
            if target in group_of:
                yield Problem(path, f"{target!r} stands already in groups[{group_of[target]}]")
            group_of[target] = n


def _target(target: str, path: str, providers: Collection[str]) -> Iterator[Problem]:
    provider, slash, model = target.partition("/")
    if not (provider and slash and model) or not target.isprintable():
        yield Problem(path, f"must be written provider/model, not {target!r}")
    else:
        yield from _known(provider, path, providers)


def _known(provider: str, path: str, providers: Collection[str]) -> Iterator[Problem]:
    if provider not in providers:
        guess = nearest(provider, providers)
        hint = f"; did you mean {guess!r}?" if guess else ""
        yield Problem(path, f"{provider!r} is no configured provider{hint}")


RULES: Final[tuple[Callable[[Config], Iterator[Problem]], ...]] = (
    config_bounds.numbers,
    _server,
    _clients,
    _providers,
    _routes,
    config_bounds.stability,
    _storage,
)
