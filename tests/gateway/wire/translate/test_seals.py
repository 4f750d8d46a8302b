"""What only its maker can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.translate.neutral import Seal
from gateway.wire.translate.seals import opened, wrapped

WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(WORDS, WORDS, WORDS)
def test_a_seal_comes_back(origin: str, kind: str, payload: str) -> None:
    seal = Seal(origin, kind, payload)
    text = wrapped(seal)
    assert opened(text) == seal
    # Clients that decode signatures write them in the alphabet for addresses, and without an end.
    assert opened(text.replace("+", "-").replace("/", "_").rstrip("=")) == seal


@pytest.mark.parametrize(
    "text", [None, 3, "", "EqQBCkYI", "gAAAA", "ZXZrMQ", "ZXZrMQ==", "ZXZrMQ!"]
)
def test_what_others_signed_is_none(text: object) -> None:
    assert opened(text) is None
