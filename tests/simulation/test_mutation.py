"""The mutation check itself: its patches fit the code. It takes minutes and is run by `make mutation`."""

from __future__ import annotations

import ast

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.mutation import ROOT, patched


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.rule)
def test_a_patch_fits_and_leaves_python(mutant: Mutant) -> None:
    fresh = patched((ROOT / mutant.file).read_text(encoding="utf-8"), mutant)
    assert fresh is not None
    ast.parse(fresh)


def test_no_rule_is_listed_twice() -> None:
    assert len({each.rule for each in MUTANTS}) == len(MUTANTS)
