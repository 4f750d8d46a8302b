"""From the model name a client writes to a chain of targets; nothing here changes at run time.

A name is a route's, or `provider/model`, which falls back through `fallback.groups` and
`fallback.compatible`. The configured order is never rewritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from gateway.config import Config, Route, RouteTarget, Stability

DIRECT = "direct"
"""The route label of requests for `provider/model`: client text never becomes a label."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A name's ordered targets and the rules that govern moving between them."""

    name: str
    """What the client asked for; unique."""
    label: str
    """The route's name, or `direct`."""
    targets: tuple[RouteTarget, ...]
    route: Route
    stability: Stability


class Directory:
    """Looks names up. Direct names are made on demand and not kept: the pool bounds its memory."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._routes = {
            route.name: Chain(
                route.name, route.name, route.targets, route, config.route_stability(route)
            )
            for route in config.routes
        }

    @property
    def chains(self) -> tuple[Chain, ...]:
        """The configured routes, in the file's order."""
        return tuple(self._routes.values())

    def find(self, name: str) -> Chain | None:
        """None for a name that nobody configured."""
        return self._routes.get(name) or self._direct(name)

    def nearest(self, name: str) -> list[str]:
        """Up to three known names that look like it."""
        return get_close_matches(name, self.names(), n=3, cutoff=0.5)

    def names(self) -> list[str]:
        """All names that can be listed: routes, then the listed models of each provider."""
        listed = [
            f"{provider.name}/{model}"
            for provider in self._config.providers.values()
            for model in provider.models.list
            if provider.models.permits(model)
        ]
        targets = [target.target for chain in self.chains for target in chain.targets]
        return list(dict.fromkeys([*self._routes, *listed, *targets]))

    def _direct(self, name: str) -> Chain | None:
        if not self._served(name):
            return None
        targets = [name, *self._stand_ins(name)]
        route = Route(name=name, targets=tuple(RouteTarget(target=each) for each in targets))
        return Chain(name, DIRECT, route.targets, route, self._config.stability)

    def _served(self, target: str) -> bool:
        provider_name, _, model = target.partition("/")
        provider = self._config.providers.get(provider_name)
        return provider is not None and bool(model) and provider.models.permits(model)

    def _stand_ins(self, name: str) -> list[str]:
        """Groups first (they name models), then compatible providers; each target once."""
        fallback = self._config.fallback
        found = [each for group in fallback.groups if name in group for each in group]
        found += self._compatible(name)
        unique = dict.fromkeys(found)
        unique.pop(name, None)
        return [each for each in unique if self._served(each)]

    def _compatible(self, name: str) -> list[str]:
        """Breadth first, so that a provider's own list comes before its neighbours' lists.

        Each provider once: behind the way back stands the same provider, not another one.
        """
        found = [name]
        visited = {name.partition("/")[0]}
        for target in found:
            for other in self._config.fallback.compatible.get(target.partition("/")[0], ()):
                if other not in visited:
                    visited.add(other)
                    found.append(self._name_at(other, target))
        return found[1:]

    def _name_at(self, provider: str, target: str) -> str:
        """What `provider` calls the target's model; a name given one way is read both ways."""
        names = self._config.fallback.model_names
        pairs = [(target, names.get(target, "")), *((there, here) for here, there in names.items())]
        for known, renamed in pairs:
            if known == target and renamed.partition("/")[0] == provider:
                return renamed
        return f"{provider}/{target.partition('/')[2]}"
