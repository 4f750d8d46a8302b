"""How an answer begins that no rule knows: short, in one line, without secrets."""

from __future__ import annotations

import re

from gateway.routing.redaction import redact

EXCERPT_MAX = 300
LOOKED_AT_MAX = 8192
"""Characters of an answer that an excerpt is made from."""
CUT_MAX = 2048
"""What is thrown away of a text that was cut: the half of a secret could not be recognised."""
MARKUP = re.compile(r"<(?:script|style)\b[^>]{0,500}>[^<]{0,4000}|<[^<>]{0,500}>", re.IGNORECASE)


def excerpt_of(text: str, *secrets: str) -> str:
    begun = text[:LOOKED_AT_MAX]
    if begun.lstrip()[:1] == "<":
        begun = MARKUP.sub(" ", begun)
    shown = redact(begun, *secrets)
    if len(text) > LOOKED_AT_MAX:
        shown = shown[: max(0, len(shown) - CUT_MAX)]
    return shown[:EXCERPT_MAX]
