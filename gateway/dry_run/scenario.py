"""What a scenario is: traffic, operator's acts, a configuration, and what should come of it. Data.

The file's form is in docs/dry-run.md; `reading` makes these objects of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from gateway.config import STRICT, Config
from gateway.dry_run.expecting import Expectation

DURATION_DEFAULT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Clients of one route."""

    __pydantic_config__: ClassVar[Any] = STRICT
    route: str = ""
    """Empty: the first one of the configuration."""
    sessions: int = 0
    """Agents at once, each with at most one request under way."""
    turn_seconds: float = 20.0
    """From one turn's beginning to the next one's, on average."""
    turns: int = 0
    """After so many a session is over and a new one begins; 0 = it lasts the whole time."""
    first_tokens: int = 8_000
    """Of a session's first prompt."""
    growth_tokens: int = 600
    """By which the prompt grows with each turn."""
    most_tokens: int = 150_000
    """Beyond it the agent compacts its history, and begins again with `first_tokens`."""
    requests_per_minute: float = 0.0
    """Requests that belong to no session, at random moments."""
    stream_share: float = 0.5
    cancel_share: float = 0.0
    """Of the requests whose client hangs up."""
    cancel_after_seconds: float = 1.0


class Act(StrEnum):
    """What an operator can do; the names are those of the commands."""

    RESET = "reset"
    REST = "rest"
    DRAIN = "drain"
    ENABLE = "enable"
    PIN = "pin"
    UNPIN = "unpin"
    CLEAR_PENALTY = "clear-penalty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One act of an operator, at its time."""

    __pydantic_config__: ClassVar[Any] = STRICT
    at_seconds: float = 0.0
    act: Act = Act.RESET
    route: str = ""
    """Empty: the first one."""
    target: str = ""
    provider: str = ""
    credential: str = ""
    for_seconds: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The part of the file that is no configuration and no expectation."""

    __pydantic_config__: ClassVar[Any] = STRICT
    name: str = ""
    description: str = ""
    duration_seconds: float = DURATION_DEFAULT_SECONDS
    seed: int = 1
    traffic: tuple[Traffic, ...] = ()
    operator: tuple[Deed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A scenario with everything it takes to play it."""

    scenario: Scenario
    config: Config
    expected: tuple[Expectation, ...] = ()
