"""What the environment says: variables by the names of the project this one grew from.

Each variable becomes a `Setting`: a path in the configuration and the value for it. Those of one
provider are laid over its entry in the file, general ones over the file's general part; an entry
of a provider is asked before the general part, hence the order that docs/configuration.md states.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gateway.config import EMPTY, NO_SECRET
from gateway.config_yaml import Problem
from gateway.units import Secret

KNOWN_BASE_URLS: Final[Mapping[str, str]] = {
    "anthropic": "https://api.anthropic.com",
    "cerebras": "https://api.cerebras.ai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "fireworks": "https://api.fireworks.ai/inference/v1",
    "fireworks_ai": "https://api.fireworks.ai/inference/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "moonshot": "https://api.moonshot.ai/v1",
    "nvidia_nim": "https://integrate.api.nvidia.com/v1",
    "openai": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "sambanova": "https://api.sambanova.ai/v1",
    "together": "https://api.together.xyz/v1",
    "together_ai": "https://api.together.xyz/v1",
    "xai": "https://api.x.ai/v1",
}
"""By provider name."""
KNOWN_DIALECTS: Final[Mapping[str, str]] = {"anthropic": "anthropic", "gemini": "gemini"}
"""What is spoken there; all others speak the OpenAI dialect."""

EACH: Final = -1
"""In a path: every entry of the list. No text, for any text may be a name."""
UNLIMITED: Final = frozenset({"0", "-1"})
NO_FAMILY: Final = re.compile(r"PROXY|EVENKEEL(_.*)?")
"""Beginnings of `…_API_KEY` that name no provider."""
KEY_NAME: Final = re.compile(r"([A-Z0-9][A-Z0-9_]*?)_API_KEY(?:_([0-9]{1,4}))?")

OF_A_PROVIDER: Final[Mapping[str, tuple[str | int, ...]]] = {
    "FALLBACK_COOLDOWN_MULTIPLIER": ("stability", "cooldown_multiplier"),
    "FALLBACK_COOLDOWN_MIN_SECONDS": ("stability", "cooldown_min_seconds"),
    "WHITELIST_MODELS": ("models", "allow"),
    "IGNORE_MODELS": ("models", "ignore"),
    "ROTATION_MODE": ("rotation",),
    "MAX_CONCURRENT_REQUESTS_PER_KEY": ("credentials", EACH, "max_in_flight"),
}
"""`<NAME>_<PROVIDER>` → where it belongs in the provider's entry."""
FOR_ALL: Final = ("FALLBACK_COOLDOWN_MULTIPLIER", "FALLBACK_COOLDOWN_MIN_SECONDS")
"""Those that also exist without a provider."""
LISTS: Final = frozenset({"WHITELIST_MODELS", "IGNORE_MODELS"})
QUOTA_GROUPS: Final = "QUOTA_GROUPS"
COMPATIBILITY: Final = "PROVIDER_COMPATIBILITY"
GROUPS: Final = "MODEL_FALLBACK_GROUPS"
PROXY_KEY: Final = "PROXY_API_KEY"
PROXY_CLIENT: Final = "proxy"


class Setting(NamedTuple):
    path: tuple[str | int, ...]
    """An index equal to the list's length appends."""
    value: Any
    """Text as in a file, or lists and mappings of it; None takes a value away."""
    variable: str
    """Empty where no variable is behind it."""


@dataclass(slots=True)
class Overlay:
    """What is to be laid over the file's values, in this order."""

    settings: list[Setting] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """Their paths are the variables' names."""
    warnings: list[str] = field(default_factory=list)

    def add(self, value: object, variable: str, *path: str | int) -> None:
        words = value if isinstance(value, list) else [value]
        if any(isinstance(word, str) and not word.isprintable() for word in words):
            # A variable may hold any bytes, such as half a character.
            self.problems.append(Problem(variable, "holds a character that cannot be printed"))
            return
        self.settings.append(Setting(path, value, variable))


def has_providers(environ: Mapping[str, str]) -> bool:
    """Whether the environment alone configures a provider."""
    return any(_base_of(family, environ) for family in _families(environ))


def overlay(environ: Mapping[str, str], raw: Mapping[str, Any]) -> Overlay:
    """What the environment adds to `raw`, the file's part (shaped, or empty without a file).

    A file with a `providers` section says which providers exist; else their keys say it.
    """
    environ = {
        name: value.strip() for name, value in environ.items() if name.isascii() and value.strip()
    }
    laid = Overlay()
    entries: dict[str, Mapping[str, Any]] = dict(raw.get("providers", {}))
    if "providers" not in raw:
        entries = dict.fromkeys(_declared(environ, laid), EMPTY)
    for provider, entry in entries.items():
        _provider(provider, entry, environ, laid)
    for name in FOR_ALL:
        if name in environ:
            laid.add(environ[name], name, *OF_A_PROVIDER[name])
    _strays(entries, environ, laid)
    _quota_groups(entries, environ, laid)
    _compatible(list(entries), environ, laid)
    _fallback_groups(list(entries), environ, laid)
    _proxy_key(raw, environ, laid)
    return laid


def variable_name(provider: str) -> str:
    """A provider's name as part of a variable's name."""
    return re.sub(r"\W", "_", provider).upper()


def _families(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """`OPENAI` → its variables with a key, the unnumbered one first, then by number."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name, value in environ.items():
        match = KEY_NAME.fullmatch(name)
        if match and value.strip() and not NO_FAMILY.fullmatch(match[1]):
            found.setdefault(match[1], []).append((int(match[2] or -1), name))
    return {family: [name for _, name in sorted(found[family])] for family in sorted(found)}


def _base_of(family: str, environ: Mapping[str, str]) -> str:
    own = environ.get(f"{family}_API_BASE", "").strip()
    return own or KNOWN_BASE_URLS.get(family.lower(), "")


def _declared(environ: Mapping[str, str], laid: Overlay) -> Iterator[str]:
    """The providers that the keys in the environment make."""
    for family, variables in _families(environ).items():
        if not _base_of(family, environ):
            warning = (
                f"{variables[0]}: no known provider, and {family}_API_BASE is not set; ignored"
            )
            laid.warnings.append(warning)
            continue
        name = family.lower()
        speaks = next(
            (said for known, said in KNOWN_DIALECTS.items() if name.startswith(known)), "openai"
        )
        if _base_of(family, environ).rstrip("/").endswith("/openai"):
            speaks = "openai"  # Google's own door for OpenAI's clients.
        laid.add(speaks, "", "providers", name, "dialect")
        yield name


def _provider(
    provider: str, entry: Mapping[str, Any], environ: Mapping[str, str], laid: Overlay
) -> None:
    suffix = variable_name(provider)
    given = entry.get("credentials")
    if not given:  # An empty list says that the server asks for no key.
        variables = _families(environ).get(suffix, []) if given is None else []
        _keys(provider, variables, environ, laid)
    if base := environ.get(f"{suffix}_API_BASE"):
        laid.add(base, f"{suffix}_API_BASE", "providers", provider, "base_url")
    for name, path in OF_A_PROVIDER.items():
        variable = f"{name}_{suffix}"
        if variable not in environ:
            continue
        value: str | list[str] | None = environ[variable]
        if name in LISTS:
            value = _items(environ[variable])
        elif EACH in path and value in UNLIMITED:
            value = None
        laid.add(value, variable, "providers", provider, *path)


def _keys(
    provider: str, variables: Sequence[str], environ: Mapping[str, str], laid: Overlay
) -> None:
    """Credentials `key`, `key_1`, …; a server without any key gets one that is empty."""
    path = ("providers", provider, "credentials")
    if not variables:
        laid.add([{"name": "default", "key": NO_SECRET}], "", *path)
    seen: dict[str, str] = {}
    for variable in variables:
        key = environ[variable]
        if key in seen:
            laid.warnings.append(f"{variable}: the same key as {seen[key]}; ignored")
            continue
        number = variable.rpartition("_API_KEY")[2]
        credential = {"name": f"key{number}", "key": Secret(key)}
        laid.add(credential, variable, *path, len(seen))
        seen[key] = variable


def _strays(entries: Mapping[str, Any], environ: Mapping[str, str], laid: Overlay) -> None:
    """Variables of a provider that does not exist: most likely a misspelling."""
    meant = {f"{name}_{variable_name(each)}" for name in OF_A_PROVIDER for each in entries}
    for variable in sorted(environ):
        if variable not in meant and variable.startswith(tuple(f"{n}_" for n in OF_A_PROVIDER)):
            laid.warnings.append(f"{variable}: ends in no configured provider's name; ignored")


def _quota_groups(entries: Mapping[str, Any], environ: Mapping[str, str], laid: Overlay) -> None:
    """`QUOTA_GROUPS_<P>_<G>`: both may hold underscores, so the longest provider counts."""
    for variable in sorted(environ):
        if not variable.startswith(f"{QUOTA_GROUPS}_"):
            continue
        rest = variable.removeprefix(f"{QUOTA_GROUPS}_")
        owners = [each for each in entries if rest.startswith(f"{variable_name(each)}_")]
        if not owners:
            laid.warnings.append(f"{variable}: names no configured provider; ignored")
            continue
        owner = max(owners, key=len)
        group = rest[len(owner) + 1 :].lower()
        if not group:
            laid.problems.append(Problem(variable, "must end in the name of a group"))
            continue
        models = _items(environ[variable])
        laid.add(models, variable, "providers", owner, "quota_groups", group)


def _compatible(providers: Sequence[str], environ: Mapping[str, str], laid: Overlay) -> None:
    """`a:b,b:a`: a request for a model of a may be served by b under the same name."""
    found: dict[str, list[str]] = {}
    for pair in _items(environ.get(COMPATIBILITY, "")):
        name, _, other = (part.strip() for part in pair.partition(":"))
        if not name or not other or ":" in other or name == other:
            laid.problems.append(Problem(COMPATIBILITY, "must be pairs such as 'a:b,b:a'"))
            return
        unknown = [each for each in (name, other) if each not in providers]
        if unknown:
            what = f"{COMPATIBILITY}: {unknown[0]!r} is no configured provider; the pair is ignored"
            laid.warnings.append(what)
        elif other not in found.setdefault(name, []):
            found[name].append(other)
    for name, others in found.items():
        laid.add(others, COMPATIBILITY, "fallback", "compatible", name)


def _fallback_groups(providers: Sequence[str], environ: Mapping[str, str], laid: Overlay) -> None:
    """A JSON list of lists of `provider/model`; of a repeated target the first group counts."""
    if GROUPS not in environ:
        return
    given = _groups(environ[GROUPS])
    if given is None:
        what = 'must be a JSON list of lists such as [["openai/gpt-5.2", "openrouter/gpt-5.2"]]'
        laid.problems.append(Problem(GROUPS, what))
        return
    seen: set[str] = set()
    kept: list[list[str]] = []
    for n, group in enumerate(given):
        usable = [each for each in dict.fromkeys(group) if each not in seen]
        usable = [each for each in usable if each.partition("/")[0] in providers]
        if len(usable) < len(group):
            what = f"{GROUPS}: entries of group {n} that repeat or name no configured provider"
            laid.warnings.append(f"{what} are ignored")
        if len(usable) >= 2:
            kept.append(usable)
            seen.update(usable)
        else:
            laid.warnings.append(f"{GROUPS}: group {n} has fewer than two usable entries; ignored")
    laid.add(kept, GROUPS, "fallback", "groups")


def _groups(text: str) -> list[list[str]] | None:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, list) or not all(isinstance(group, list) for group in given):
        return None
    sound = all(isinstance(each, str) for group in given for each in group)
    return given if sound else None


def _proxy_key(raw: Mapping[str, Any], environ: Mapping[str, str], laid: Overlay) -> None:
    """The one key of the older project opens everything: a client's key and the admin key."""
    if PROXY_KEY not in environ:
        return
    key = Secret(environ[PROXY_KEY])
    clients = raw.get("auth", {}).get("clients", [])
    if any(client.get("key") == key for client in clients):
        return  # The file has given this key a client, and perhaps only a few routes.
    laid.add(key, PROXY_KEY, "auth", "admin_key")
    for n, client in enumerate(clients):
        if client.get("name") == PROXY_CLIENT:
            laid.add(key, PROXY_KEY, "auth", "clients", n, "key")
            return
    laid.add({"name": PROXY_CLIENT, "key": key}, PROXY_KEY, "auth", "clients", len(clients))


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
