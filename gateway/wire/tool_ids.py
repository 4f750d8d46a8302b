"""Names of tool calls that every provider takes, the same each time for the same old name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import count

LEGAL_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""Anthropic takes letters, digits, `_` and `-`, OpenAI's chat at most 40 characters."""
SAFE_ID = re.compile(r"[A-Za-z0-9]{9}")
"""Legal with everybody: Mistral takes exactly nine letters and digits."""
SAFE_ID_CHARS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_names(ids: Iterable[str], *, only_safe: bool) -> Mapping[str, str]:
    """By id, one name for a call and its result. The same in every turn: it depends on the id only.

    With `only_safe`, where all of them look legal, none is kept but the safe ones: they have been
    refused all the same.
    """
    known = list(dict.fromkeys(ids))
    wrong = [each for each in known if not LEGAL_ID.fullmatch(each)]
    if not wrong and only_safe:
        wrong = [each for each in known if not SAFE_ID.fullmatch(each)]
    taken = set(known)
    renamed: dict[str, str] = {}
    for each in wrong:
        renamed[each] = next(name for name in safe_names(each) if name not in taken)
        taken.add(renamed[each])
    return renamed


def safe_names(old: str) -> Iterator[str]:
    """Endless; the first that is free is the one to take."""
    for n in count():
        digest = blake2b(f"{n}:{old}".encode(errors="replace"), digest_size=16).digest()
        number, name = int.from_bytes(digest), ""
        for _ in range(9):
            number, digit = divmod(number, len(SAFE_ID_CHARS))
            name += SAFE_ID_CHARS[digit]
        yield name
