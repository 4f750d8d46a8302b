"""`evenkeel status`: the answer of `/api/v1/status` as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from gateway.cli_output import clock_time, length, print_table, printable, time_left
from gateway.cli_sentences import place

Status = Mapping[str, Any]


def print_status(status: Status, *, url: str) -> None:
    """Raises KeyError and TypeError where the answer has another form than is known here."""
    now = status["now"]
    for line in _head(status, url):
        click.echo(printable(line))
    click.echo()
    print_table(
        "Routes",
        ("route", "target", "serves for", "state", "reason", "ready in", "keys", "penalty"),
        [
            _target(route, target, first=place == 0)
            for route in status["routes"]
            for place, target in enumerate(route["targets"])
        ],
        empty="No routes are configured; clients name targets as provider/model.",
    )
    for route in status["routes"]:
        if notes := _notes(route, now):
            click.echo(printable(f"{route['route']}: {', '.join(notes)}"))
    click.echo()
    print_table(
        "Credentials",
        ("provider", "credential", "tier", "state", "reason", "ready in", "in flight", "used"),
        [
            _credential(provider, credential, now)
            for provider in status["providers"]
            for credential in provider["credentials"]
        ],
    )
    click.echo()
    print_table(
        "Cooldowns",
        ("rests", "reason", "source", "left", "until"),
        [_cooldown(rest) for rest in status["cooldowns"]],
        empty="No cooldown is running.",
    )


def _head(status: Status, url: str) -> list[str]:
    demo = ", demo" if status["demo"] else ""
    path = status["config_path"] or "no file"
    store = status["store"]
    lines = [
        f"Evenkeel {status['version']} at {url}{demo}, up {length(status['uptime_seconds'])}",
        f"configuration {status['config_version']} ({path})",
    ]
    if store["ok"]:
        lines.append(f"store ok: {store['path']}, events waiting: {store['queued_events']}")
    else:
        lines.append(f"STORE FAILING: {store['path']}: {store['last_error']}")
    if store["dropped"]:
        lines.append(f"EVENTS LOST: {store['dropped']}")
    return lines


def _target(route: Status, target: Status, *, first: bool) -> tuple[Any, ...]:
    return (
        route["route"] if first else "",
        target["target"],
        length(route["dwell_seconds"]) if target["active"] else "",
        target["state"],
        target["reason"],
        length(target["ready_in_seconds"]) if target["ready_in_seconds"] else "",
        f"{target['credentials_ready']}/{target['credentials']}",
        f"{target['penalty']:.0f}" if target["penalty"] >= 1 else "",
    )


def _notes(route: Status, now: int) -> list[str]:
    """What is not usual about the route, and who is on it."""
    notes = []
    if route["flapping"]:
        damped = [each["target"] for each in route["targets"] if each["suppressed"]]
        notes.append(f"FLAPPING because of {', '.join(damped)}")
    if route["pinned"]:
        left = time_left(route["pinned_until"], now=now)
        notes.append(f"pinned to {route['pinned']} {f'for {left} more' if left else 'for good'}")
    if route["waiting"]:
        notes.append(f"{route['waiting']} waiting")
    if route["sessions"]:
        notes.append(f"{route['sessions']} session{'s'[: route['sessions'] != 1]}")
    return notes


def _credential(provider: Status, credential: Status, now: int) -> tuple[Any, ...]:
    return (
        provider["provider"],
        credential["credential"],
        credential["priority"],
        credential["state"],
        credential["reason"],
        time_left(credential["until"], now=now),
        credential["in_flight"],
        credential["used"],
    )


def _cooldown(rest: Status) -> tuple[Any, ...]:
    held = f" on {rest['route']}" if rest["route"] else ""
    return (
        f"{place(rest)}{held}",
        rest["reason"],
        f"{rest['source']} {rest['level'] or ''}".rstrip(),
        length(rest["remaining_seconds"]),
        clock_time(rest["until"]),
    )
