"""What a row of the error tables is, and the words that several tables look for.

A row says "these codes, this status, these words are that failure". The tables are in
`classes_labs` (those who make models), `classes_hosts` (those who serve them) and `classes`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.events import Failure, Scope

LIMIT = Failure.RATE_LIMITED
QUOTA = Failure.QUOTA_EXHAUSTED
AUTH = Failure.AUTH
OVERLOAD = Failure.OVERLOADED
SERVER = Failure.SERVER_ERROR
MODEL = Failure.MODEL_NOT_FOUND
UNSUPPORTED = Failure.UNSUPPORTED
BAD = Failure.BAD_REQUEST
LENGTH = Failure.CONTEXT_TOO_LONG
POLICY = Failure.CONTENT_POLICY

TIMEOUT = "upstream_timeout"
WINDOW = "quota_window"
BILLING = "billing"
BALANCE = "credit_balance"
TIER = "not_on_this_tier"
TOO_LARGE = "too_large_for_limit"
"""One request above the whole window: no key rests for it, and the same request never fits."""
NOT_PERMITTED = "model_not_permitted"
"""The key is good, but not for this model: only the two together rest."""

# Marks are codes that no provider wrote: what `told` saw in the shape of an answer.
PER_DAY = "~per_day"
"""A Google violation names a daily quota."""
PER_MINUTE = "~per_minute"
BEHIND = "~provider_behind"
"""OpenRouter names the provider behind it that refused."""
MODERATED = "~moderated"
WINDOW_USED = "~window_used"
"""Anthropic's header of a subscription says that a window of hours or days is used up."""
HTML = "~html"
EMPTY = "~empty"


@dataclass(frozen=True, slots=True)
class Row:
    """All conditions given must hold; a missing one always does."""

    failure: Failure
    codes: frozenset[str] = frozenset()
    """Lower-case, any of them."""
    prefixes: tuple[str, ...] = ()
    status: frozenset[int] = frozenset()
    says: re.Pattern[str] | None = None
    """Found in the provider's sentence."""
    reason: str = ""
    """Instead of the provider's code."""
    scope: Scope | None = None
    """What rests, where that is another place than the failure's own."""
    rest_seconds: float | None = None
    """How long, where an operator's rule says it."""

    @property
    def by_code(self) -> bool:
        return bool(self.codes or self.prefixes)

    def names(self, code: str) -> bool:
        return code in self.codes or code.startswith(self.prefixes)

    def holds(self, status: int | None, message: str) -> bool:
        """A status of None (an error inside a 200 that names none) meets every condition."""
        if self.status and status is not None and status not in self.status:
            return False
        return self.says is None or self.says.search(message) is not None


Table = tuple[Row, ...]


def row(
    failure: Failure,
    *codes: str,
    status: int | tuple[int, ...] = (),
    says: str = "",
    reason: str = "",
    scope: Scope | None = None,
) -> Row:
    """A `Row` as it is written in the tables; a code that ends in `*` is a prefix."""
    return Row(
        failure=failure,
        codes=frozenset(c for c in codes if not c.endswith("*")),
        prefixes=tuple(c[:-1] for c in codes if c.endswith("*")),
        status=frozenset((status,) if isinstance(status, int) else status),
        says=re.compile(says, re.IGNORECASE) if says else None,
        reason=reason,
        scope=scope,
    )


SAYS_PER_DAY = (
    r"per (day|week|month)|\b[rt]pd\b|(daily|weekly|monthly) (\w+ ){0,2}(limit|quota)|\bper 86400s"
)
SAYS_BUSY = (
    r"overloaded|no capacity|exhausted your capacity|capacity exceeded|at capacity"
    r"|(experiencing )?high (traffic|demand)"
)
SAYS_TOO_LARGE = r"request too large|too large for model"
SAYS_NO_ACCESS = (
    r"\b(access|permission|permitted|allowed|entitled|authori[sz]ed|available)\b.{0,60}\bmodels?\b"
    r"|\bmodels?\b.{0,120}\b(access|permission|permitted|allowed|entitled|authori[sz]ed|tier|plan)\b"
)
"""Of a refusal by a key that is good: it is this model that it may not use."""
