"""`python -m dashboards.receiver`: an example of where alerts go. It prints what Alertmanager sends."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import click

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
SECONDS_MAX: Final = 10.0
"""For a sender to say what it has to say."""


def lines(notification: Mapping[str, Any]) -> Iterator[str]:
    """One for each alert: firing or resolved, which, about what, and where to look."""
    for alert in notification.get("alerts", ()):
        labels, notes = alert.get("labels", {}), alert.get("annotations", {})
        told = [
            f"{alert.get('status', '')} {labels.get('severity', '')} {labels.get('alertname', '')}",
            notes.get("summary", ""),
            notes.get("runbook", ""),
            notes.get("history", ""),
        ]
        yield " | ".join(each for each in told if each)


class Handler(BaseHTTPRequestHandler):
    timeout = SECONDS_MAX

    def do_POST(self) -> None:
        size = self.headers.get("content-length", "")
        if not size.isdecimal() or int(size) > BODY_BYTES_MAX:
            self.send_error(413)
            return
        try:
            told = list(lines(json.loads(self.rfile.read(int(size)))))
        except (ValueError, AttributeError):
            self.send_error(400)
            return
        for line in told:
            click.echo(line)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The alerts are the log."""


@click.command()
@click.option("--host", default="127.0.0.1")
@click.option("--port", default=9095)
def main(host: str, port: int) -> None:
    """Print every alert that is posted to /alerts."""
    with ThreadingHTTPServer((host, port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
