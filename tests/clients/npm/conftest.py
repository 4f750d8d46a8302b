"""The table of results: what docs/clients.md shows is this, of one run."""

from __future__ import annotations

from typing import Any

COLUMNS = ("prompt", "tool", "fallback", "fallback to another dialect")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    found: dict[str, dict[str, str]] = {}
    for report in terminalreporter.stats.get("passed", ()):
        noted = dict(report.user_properties)
        if report.when == "call" and "client" in noted:
            found.setdefault(noted["client"], {})[noted["column"]] = f"yes, {noted['seconds']} s"
    if not found:
        return
    terminalreporter.section("clients through the gateway")
    terminalreporter.line(f"| client | version | {' | '.join(COLUMNS)} |")
    terminalreporter.line("| --- " * (2 + len(COLUMNS)) + "|")
    for client, cells in found.items():
        row = " | ".join(cells.get(column, "**no**") for column in COLUMNS)
        terminalreporter.line(f"| {client} | {row} |")
