"""From two dialects' names to the translation between them."""

from __future__ import annotations

from gateway.wire.translate.base import Translation


def translation(
    client: str, target: str, *, origin: str = "", created: int = 0, version: str = ""
) -> Translation | None:
    """One attempt's translation; None for the same dialect twice, or one that is not known here.

    `origin` names who answers (a provider, or its family): what only that one can read, such as
    signed thinking, is marked with it and comes back to nobody else. Empty: the target's dialect.
    `created` is the Unix time in seconds that answers state. `version` is Anthropic's, for requests
    to it; empty: the old one, that takes sampling parameters.
    """
    del client, target, origin, created, version
    return None
