"""What several boards share: their uids, words for states, and colours."""

from __future__ import annotations

from typing import Final

from dashboards.model import Mapped

OVERVIEW: Final = "evenkeel-overview"
ROUTING: Final = "evenkeel-routing"
PROVIDERS: Final = "evenkeel-providers"
CREDENTIALS: Final = "evenkeel-credentials"
SESSIONS: Final = "evenkeel-sessions"
INTERNALS: Final = "evenkeel-internals"

GREEN: Final = ((None, "green"),)
BLUE: Final = ((None, "blue"),)


def up_to(warn: float, bad: float) -> tuple[tuple[float | None, str], ...]:
    """Green, then orange, then red."""
    return ((None, "green"), (warn, "orange"), (bad, "red"))


def from_(bad: float, warn: float) -> tuple[tuple[float | None, str], ...]:
    """Red below `bad`, orange below `warn`, green above."""
    return ((None, "red"), (bad, "orange"), (warn, "green"))


STATES: Final = (
    Mapped(0, "ready", "green"),
    Mapped(1, "held", "yellow"),
    Mapped(2, "cooling", "red"),
    Mapped(3, "disabled", "#808080"),
    Mapped(4, "suppressed", "purple"),
    Mapped(5, "on trial", "light-blue"),
    Mapped(6, "probing", "blue"),
    Mapped(7, "drained", "#a0a0a0"),
)
"""Of a target on its route, by the codes of `evenkeel_target_state`."""
KEY_STATES: Final = (*STATES, Mapped(8, "parked", "dark-red"))
"""Of a credential."""
YES_NO: Final = (Mapped(0, "no", "green"), Mapped(1, "yes", "red"))

QUIET: Final = "nothing of this kind has happened in the window"
"""Why a panel of rare events may be empty."""
