from __future__ import annotations

from gateway.telemetry.catalogue_spans import Span


def test_span_names_are_told_apart() -> None:
    assert len({name.value for name in Span}) == len(Span.__members__)
