"""A scenario's weather over the operator's own configuration: what would it have done to *my* routes?

Every provider becomes a simulated one of the same name, keys, limits and clocks. The weather comes
from the scenario by rank: what happens to its first provider happens to the first of the route.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.config import NO_SECRET, Config, Credential, Dialect, Provider, Route, Simulated
from gateway.config_file import ConfigError
from gateway.dry_run.scenario import Deed, Script

NAMELESS = Credential(name="default", key=NO_SECRET)
"""Of a provider that is given no key here, and would be skipped without one."""


def over(script: Script, config: Config, *, route: str = "") -> Script:
    """The script, played on `route` of `config` (empty: its first one). Raises `ConfigError`.

    All the scenario's traffic goes there, whatever route it named.
    """
    chosen = _chosen(config, route)
    theirs = _ranked(script.config.routes[0])
    ours = _ranked(chosen)
    weather = dict(zip(ours, (script.config.providers[each] for each in theirs), strict=False))
    providers = {
        name: _simulated(provider, weather.get(name)) for name, provider in config.providers.items()
    }
    places = _places(script.config.routes[0], chosen)
    scenario = replace(
        script.scenario,
        traffic=tuple(replace(each, route=chosen.name) for each in script.scenario.traffic),
        operator=tuple(
            _moved(each, places, dict(zip(theirs, ours, strict=False)), chosen.name)
            for each in script.scenario.operator
        ),
    )
    return replace(script, scenario=scenario, config=replace(config, providers=providers))


def _chosen(config: Config, name: str) -> Route:
    for route in config.routes:
        if name in ("", route.name):
            return route
    names = ", ".join(route.name for route in config.routes)
    problem = f"--route: there is no {name!r}; there are {names}" if names else "no route to play"
    raise ConfigError([problem])


def _ranked(route: Route) -> list[str]:
    """The providers of a route, each at its first place."""
    return list(dict.fromkeys(target.provider for target in route.targets))


def _places(theirs: Route, ours: Route) -> Mapping[str, str]:
    """Target of the scenario's route → target of the same rank here."""
    pairs = zip(theirs.targets, ours.targets, strict=False)
    return {there.target: here.target for there, here in pairs}


def _simulated(provider: Provider, playing: Provider | None) -> Provider:
    """`playing`: the scenario's provider whose part it takes; None = it is always well."""
    credentials = provider.credentials or (NAMELESS,)
    script = playing.simulated if playing is not None else Simulated()
    if playing is not None:
        dead = _ranks(playing.credentials, script.dead_credentials)
        names = tuple(credentials[rank].name for rank in dead if rank < len(credentials))
        script = replace(script, dead_credentials=names)
    return replace(
        provider,
        dialect=Dialect.SIMULATED,
        base_url="",
        credentials=tuple(replace(each, key=NO_SECRET) for each in credentials),
        simulated=script,
    )


def _ranks(credentials: Sequence[Credential], names: Sequence[str]) -> list[int]:
    return [rank for rank, each in enumerate(credentials) if each.name in names]


def _moved(
    deed: Deed, targets: Mapping[str, str], providers: Mapping[str, str], route: str
) -> Deed:
    """The same act on what has the same rank; on nothing named where there is no such rank."""
    return replace(
        deed,
        route=route,
        target=targets.get(deed.target, next(iter(targets.values()))) if deed.target else "",
        provider=providers.get(deed.provider, ""),
        credential="",
    )
