"""The file in which an operator keeps a refresh token: plain text, or JSON as most tools write it."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.units import Secret

FIELD = "refresh_token"
BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class TokenFile:
    path: Path

    def read(self) -> Secret:
        """Raises `OSError`; `ValueError` where there is no token in it."""
        fields = self._fields()
        token = fields.get(FIELD)
        if not isinstance(token, str) or not token.strip():
            raise ValueError("no refresh token")
        return Secret(token.strip())

    def write(self, token: Secret) -> None:
        """Puts `token` in the place of the old one, all at once, readable by its owner only.

        Other fields of a JSON file stay, but for the access token: that one belongs to the old.
        """
        try:
            fields = self._fields()
        except ValueError:
            fields = {}
        for name in ("access_token", "expiry_date", "expiry", "id_token"):
            fields.pop(name, None)
        text = json.dumps({**fields, FIELD: token.reveal()}, indent=2) + "\n"
        # A link is followed, so that the file it points to is replaced and not the link.
        target = self.path.resolve()
        number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:  # 0600 by `mkstemp`.
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _fields(self) -> dict[str, Any]:
        with self.path.open("rb") as file:
            text = file.read(BYTES_MAX + 1)
        if len(text) > BYTES_MAX:
            raise ValueError("too large")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        word = text.decode("utf-8", "replace").strip()
        return {FIELD: word} if len(word.split()) == 1 and word.isprintable() else {}
