"""Which pairs of dialects have a translation."""

from __future__ import annotations

import pytest

from gateway.wire.translate.base import DIALECTS
from gateway.wire.translate.registry import translation


@pytest.mark.parametrize("dialect", [*DIALECTS, "cohere"])
def test_there_is_none_between_a_dialect_and_itself_nor_to_an_unknown_one(dialect: str) -> None:
    assert translation(dialect, dialect) is None
    assert translation("openai", "cohere") is None
