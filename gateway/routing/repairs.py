"""What one request does about a history that its providers refuse: adapts it, within bounds.

A provider that took a conversation over may find fault with thinking or ids of the one before. That
is nobody's fault: the same candidate gets the request once more, with the history adapted.
"""

from __future__ import annotations

from gateway.routing.steps import Bad

REPAIRS_MAX = 4
"""Of one request: a provider may find fault with the thinking first and with the ids then, and after
it the next provider may."""


class Repairs:
    """Belongs to one `Call`."""

    __slots__ = ("_adapted", "_made")

    def __init__(self) -> None:
        self._made = 0
        self._adapted: dict[str, tuple[str, ...]] = {}

    def cure(self, bad: Bad) -> bool:
        """Whether the same candidate would be asked again, with an adapted history."""
        return bool(bad.repairs) and self._made < REPAIRS_MAX

    def made(self, target: str, bad: Bad) -> None:
        """From now on the target gets the history without what it has refused."""
        self._made += 1
        done = (*self._adapted.get(target, ()), *bad.repairs)
        self._adapted[target] = tuple(dict.fromkeys(done))

    def of(self, target: str) -> tuple[str, ...]:
        """What is adapted for the target; empty where it gets the history as it came."""
        return self._adapted.get(target, ())
