"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration file; else EVENKEEL_CONFIG, else ./evenkeel.yaml.",
)
url_option = click.option(
    "--url",
    metavar="URL",
    help="Of the gateway; else as configured, else http://127.0.0.1:8080.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
host_option = click.option("--host", metavar="HOST", help="Listen here instead of `server.host`.")
port_option = click.option(
    "--port", type=click.IntRange(0, 65535), help="Listen here instead of `server.port`; 0: any."
)
