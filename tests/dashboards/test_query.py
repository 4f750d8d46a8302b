from __future__ import annotations

import pytest

from dashboards.query import increase, quantile, rate, series, share, standard, total
from gateway.telemetry import catalogue as m


def test_a_selector_narrows_by_gateway_and_by_what_the_reader_may_choose() -> None:
    assert series(m.FLAPPING) == (
        'evenkeel_flapping{job=~"$job",instance=~"$instance",route=~"$route"}'
    )
    assert series(m.LOOP_LAG).endswith('{job=~"$job",instance=~"$instance"}')
    assert series(m.FALLBACKS, from_='="a/x"').endswith('route=~"$route",from="a/x"}')
    assert standard("up") == 'up{job=~"$job",instance=~"$instance"}'


def test_a_label_that_a_metric_lacks_is_an_error_of_the_build() -> None:
    with pytest.raises(ValueError, match="has no label provider"):
        series(m.FLAPPING, provider='="a"')
    with pytest.raises(ValueError, match="has no label model"):
        rate(m.REQUESTS, "model")
    with pytest.raises(ValueError, match="no histogram"):
        series(m.REQUESTS, "_bucket")


def test_expressions_are_those_of_the_books() -> None:
    assert rate(m.RESCUES, "route") == (
        f"sum by (route) (rate({series(m.RESCUES)}[$__rate_interval]))"
    )
    assert increase(m.RESCUES, window="1h") == f"round(sum (increase({series(m.RESCUES)}[1h])))"
    assert total(m.FLAPPING, how="max") == f"max ({series(m.FLAPPING)})"
    assert quantile(0.95, m.DWELL, "route").startswith(
        "histogram_quantile(0.95, sum by (route, le) (rate(evenkeel_dwell_seconds_bucket{"
    )
    assert share("a", "b") == "((a) / ((b) > 0)) or (0 * (b))"
