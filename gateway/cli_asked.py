"""Which gateway a command means, and how a command that asks one ends.

Reads the configuration only to find the gateway, its admin key and its database; a configuration
that is broken, or whose variables are not set in this shell, does not keep anyone from asking.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click

from gateway.cli_client import Gateway, Refused, Unreachable
from gateway.cli_database import BadFilter, Unreadable
from gateway.config import Config, Server, Storage
from gateway.units import Secret

FAILED: Final = 1
"""Exit status: it could not be done."""
WRONG: Final = 2
"""Exit status: the command line or the configuration is wrong."""
INTERRUPTED: Final = 130
"""What a shell expects of a program that Ctrl-C ended."""
HTTP_BAD_REQUEST: Final = 400
LOOPBACK_FOR: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where to call a gateway that listens on all addresses."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a command that looks at a gateway works with."""

    gateway: Gateway
    storage: Storage | None
    """None: nothing is configured, so that the demo is what ran."""
    folder: Path
    """What a relative database path starts at."""
    url_given: bool
    """The gateway was named by `--url`: the database beside the configuration may not be its."""


def asked(config_path: Path | None, url: str | None) -> Asked:
    """Ends the program where a named configuration file is missing or `--url` is no URL."""
    from gateway import config_file

    environ, cwd = os.environ, Path.cwd()
    try:
        path = config_file.find(config_path, environ=environ, cwd=cwd)
    except config_file.ConfigError as error:
        stop(str(error), WRONG)
    config, folder = Config(), path.parent if path else cwd
    configured = path is not None or config_file.has_providers(environ)
    if configured:
        try:
            loaded = config_file.load(path, environ=environ, cwd=cwd)
            config, folder = loaded.config, loaded.folder
        except config_file.ConfigError as error:
            note(f"configuration not used: {error.problems[0]}{_others(len(error.problems) - 1)}")
    key = environ.get("EVENKEEL_ADMIN_KEY")
    return Asked(
        gateway=Gateway(
            url=_checked(url) if url else address(config.server),
            key=Secret(key) if key else config.auth.admin_key,
        ),
        storage=config.storage if configured else None,
        folder=folder,
        url_given=bool(url),
    )


def database(meant: Asked) -> Storage:
    """The database to read where the gateway does not answer."""
    if meant.storage is not None:
        return meant.storage
    from gateway.app import demo_config

    return demo_config().config.storage


def address(server: Server) -> str:
    """Where a gateway with this configuration can be called from this machine."""
    host = LOOPBACK_FOR.get(server.host, server.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{server.port}"


def _checked(url: str) -> str:
    from yarl import URL

    try:
        parsed = URL(url)
    except ValueError:
        parsed = URL()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        stop(f"--url: {url!r} is not an http or https URL", WRONG)
    return url.rstrip("/")


def _others(count: int) -> str:
    return f" (and {count} more, see `evenkeel check`)" if count else ""


def run(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `ask` comes to; ends the program with one line where that is an error."""
    try:
        return asyncio.run(ask())
    except (Unreachable, Unreadable) as error:
        stop(str(error), FAILED)
    except Refused as error:
        stop(str(error), WRONG if error.status == HTTP_BAD_REQUEST else FAILED)
    except BadFilter as error:
        stop(str(error), WRONG)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def note(line: str) -> None:
    """Something to know that is not what was asked for."""
    click.echo(line, err=True)


def stop(problem: str, exit_status: int) -> NoReturn:
    click.echo(problem, err=True)
    sys.exit(exit_status)
