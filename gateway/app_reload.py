"""Taking on a new configuration while running: all of it, or none of it with the reasons."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway import config_file
from gateway.api.access import Access
from gateway.api.context import Context, ReloadRefused
from gateway.config import Config
from gateway.config_file import ConfigError, Loaded
from gateway.events import ConfigRejected, ConfigReloaded, OperatorActed
from gateway.units import Timestamp

NEEDS_RESTART = ("server", "storage", "telemetry", "shared_state")
"""Sections whose resources are opened once: sockets, the database file, exporters."""
DEMO_KEEPS = "the demo keeps the configuration it began with: there is no file to read again"


class Reloader:
    """Reads the configuration again, from where it came."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        host: str,
        environ: Mapping[str, str],
        configured: Callable[[Config], None],
    ) -> None:
        """`host` is what is listened on; `configured` is told of a configuration taken on."""
        self._loaded = loaded
        self._host = host
        self._environ = environ
        self._configured = configured
        self._one_at_a_time = asyncio.Lock()

    async def reload(self, context: Context, actor: str, note: str) -> list[str]:
        """The dotted paths that changed. Raises `ReloadRefused`; then nothing has changed."""
        if context.demo:
            # It makes traffic of its own, which on a real provider would cost money.
            raise ReloadRefused((DEMO_KEEPS,))
        async with self._one_at_a_time:
            try:
                fresh = await asyncio.to_thread(self._read)
            except ConfigError as error:
                raise self._refused(context, error.problems) from error
            changes = changed(self._loaded, fresh)
            if impossible := self._impossible(fresh, changes):
                raise self._refused(context, impossible)
            acted = _acted(context.clock.now().timestamp, actor, note)
            self._take_on(context, fresh, changes, acted)
            return changes

    def _impossible(self, fresh: Loaded, changes: list[str]) -> list[str]:
        """What cannot change while the gateway listens where it does."""
        found = [
            f"{path}: a change of it needs a restart"
            for path in changes
            if path.partition(".")[0] in NEEDS_RESTART
        ]
        if problem := config_file.public_bind(self._host, fresh.config.auth):
            found.append(f"{problem.path}: {problem.text}")
        return found

    def _read(self) -> Loaded:
        cwd = Path.cwd()
        return config_file.load(self._loaded.path, environ=self._environ, cwd=cwd)

    def _refused(self, context: Context, problems: list[str] | tuple[str, ...]) -> ReloadRefused:
        now = context.clock.now()
        context.emit([ConfigRejected(ts=now.timestamp, problems=tuple(problems))])
        return ReloadRefused(problems)

    def _take_on(
        self, context: Context, fresh: Loaded, changes: list[str], acted: OperatorActed
    ) -> None:
        now = context.clock.now()
        self._loaded = fresh
        context.config = fresh.config
        context.access = Access(fresh.config.auth, host=self._host)
        events = context.pool.reconfigure(fresh.config, now)
        context.spine.config_version = fresh.version
        self._configured(fresh.config)
        context.emit(
            [
                acted,
                ConfigReloaded(ts=now.timestamp, version=fresh.version, changes=tuple(changes)),
                *events,
            ]
        )


def _acted(ts: Timestamp, actor: str, note: str) -> OperatorActed:
    return OperatorActed(
        ts=ts,
        actor=actor,
        action="reload",
        route="",
        target="",
        provider="",
        credential="",
        note=note,
        until=None,
    )


def changed(old: Loaded, new: Loaded) -> list[str]:
    """Dotted paths whose values differ; of secrets only that they do."""
    before, after = _values(old), _values(new)
    paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    return paths + _secrets(old.config, new.config)


def _values(loaded: Loaded) -> dict[str, str]:
    return {path: value for path, value, _ in config_file.effective(loaded)}


def _secrets(old: Config, new: Config) -> list[str]:
    found = []
    for name, provider in new.providers.items():
        known = (
            {each.name: each.key for each in old.providers[name].credentials}
            if (name in old.providers)
            else {}
        )
        found += [
            f"providers.{name}.credentials.{each.name}.key"
            for each in provider.credentials
            if each.name in known and known[each.name] != each.key
        ]
    if [each.key for each in old.auth.clients] != [each.key for each in new.auth.clients]:
        found.append("auth.clients[].key")
    if old.auth.admin_key != new.auth.admin_key:
        found.append("auth.admin_key")
    return found
