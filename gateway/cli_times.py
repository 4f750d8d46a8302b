"""What people write for a moment on the command line: `24h`, `90s`, or an ISO 8601 time."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Final

from gateway.units import MICROS, Timestamp

AGE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.ASCII)
UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str) -> float:
    """The length meant by `24h`, `30m`, `90s` or a bare number of seconds.

    Raises ValueError with a sentence for whoever wrote it.
    """
    age = AGE.fullmatch(text.strip())
    try:
        found = float(age[1]) * UNIT_SECONDS[age[2]] if age is not None else float(text)
    except ValueError:
        found = 0.0
    if not 0.0 < found < math.inf:
        message = f"{text!r} is no length of time such as 2h, 30m or 90s"
        raise ValueError(message)
    return found


def moment(text: str, *, now: Timestamp) -> Timestamp:
    """The Unix time meant by an age (`24h` ago) or a time; without an offset it is local.

    Raises ValueError with a sentence for whoever wrote it.
    """
    age = AGE.fullmatch(text.strip())
    if age is not None:
        seconds = float(age[1]) * UNIT_SECONDS[age[2]]
        return Timestamp(max(0, now - round(seconds * MICROS)))
    try:
        found = datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError):
        message = f"{text!r} is neither an age such as 24h, 30m or 90s nor an ISO time"
        raise ValueError(message) from None
    return Timestamp(round(found * MICROS))
