"""The command `evenkeel`, also `python -m gateway`."""

from __future__ import annotations

from gateway.cli import cli


def main() -> None:
    cli(prog_name="evenkeel")


if __name__ == "__main__":
    main()
