"""Reads the price table that is shipped with litellm, without importing litellm.

The package is found and not run: importing it takes seconds and more than a hundred megabytes. Only
what sells tokens, and by somebody whom `prices` knows, is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import msgspec

from gateway.routing.prices import Tariff, sold, tariff

FILE_NAME = "model_prices_and_context_window_backup.json"
FILE_BYTES_MAX = 64 * 1024 * 1024

log = logging.getLogger(__name__)


def load() -> Mapping[str, Tariff]:
    """All known list prices by the table's names. Blocks; empty, with a warning, without a table."""
    path = find()
    if path is None:
        log.warning("no price table: litellm is not installed; costs are not known")
        return {}
    try:
        return read(path)
    except (OSError, ValueError) as error:
        log.warning("the price table cannot be read; costs are not known", extra={"cause": error})
        return {}


def find() -> Path | None:
    spec = find_spec("litellm")
    folders = spec.submodule_search_locations if spec is not None else None
    found = [Path(folder) / FILE_NAME for folder in folders or ()]
    return next((path for path in found if path.is_file()), None)


def read(path: Path) -> Mapping[str, Tariff]:
    """Raises `OSError`, and `ValueError` for what is no table."""
    if path.stat().st_size > FILE_BYTES_MAX:
        message = f"{path.name} is larger than {FILE_BYTES_MAX} bytes"
        raise ValueError(message)
    # Each entry is decoded by itself, so that the whole is never in memory as objects.
    entries = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
    book = {}
    for name, raw in entries.items():
        entry = msgspec.json.decode(raw)
        seller = entry.get("litellm_provider") if isinstance(entry, dict) else None
        if isinstance(seller, str) and sold(seller):
            found = tariff(seller, entry)
            if found is not None:
                book[name] = found
    return book
