from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config import Config, Credential, Fallback
from gateway.events import Scope
from gateway.telemetry import catalogue
from gateway.telemetry.labels import Labels
from gateway.units import Secret
from tests.gateway.telemetry.building import provider, usual

SERIES_MAX = 1500


@pytest.fixture
def labels() -> Labels:
    return Labels(usual())


def pairs(config: Config, route: str) -> set[tuple[str, str]]:
    found = (values for metric, values in Labels(config).series() if metric is catalogue.FALLBACKS)
    return {(origin, to) for name, origin, to, _ in found if name == route}


def test_a_usual_configuration_stays_within_the_promised_number_of_series(labels: Labels) -> None:
    assert 500 < labels.count() <= SERIES_MAX


def test_every_series_fits_its_metric_and_comes_once(labels: Labels) -> None:
    found = list(labels.series())
    assert len(found) == len(set(found))
    assert all(len(values) == len(metric.labels) for metric, values in found)


def test_a_model_that_nobody_configured_is_other(labels: Labels) -> None:
    assert labels.model("a", "x") == "x"
    assert labels.model("a", "y") == "other"
    assert labels.model("b", "what a client wrote") == "other"
    listed = Labels(replace(usual(), providers={"a": provider("a", models=["m"])}, routes=()))
    assert listed.model("a", "m") == "m"


def test_a_provider_with_a_closed_list_needs_no_other() -> None:
    config = Config(providers={"a": provider("a", models=["m"]), "b": provider("b")})
    models = {
        values for metric, values in Labels(config).series() if metric is catalogue.ATTEMPT_DURATION
    }
    assert models == {("a", "m"), ("b", "other")}


def test_a_route_is_one_of_ours_or_none(labels: Labels) -> None:
    assert [labels.route(name) for name in ("coder", "direct", "", "evil\n")] == [
        "coder",
        "direct",
        "",
        "",
    ]


def test_targets_of_direct_requests_are_told_by_their_provider(labels: Labels) -> None:
    assert labels.hop("coder", "a/x") == "a/x"
    assert labels.hop("coder", "a/gone") == "a/*"
    assert labels.hop("direct", "a/x") == "a/*"
    assert labels.hop("direct", "nobody/x") == "other/*"


def test_a_rest_of_more_than_one_model_is_told_by_its_provider(labels: Labels) -> None:
    assert labels.place(Scope.TARGET, "a", "x") == "a/x"
    assert labels.place(Scope.CREDENTIAL_MODEL, "a", "unheard of") == "a/other"
    assert labels.place(Scope.CREDENTIAL, "a", "") == "a/*"
    assert labels.place(Scope.QUOTA_GROUP, "a", "pro") == "a/*"


def test_all_pairs_of_a_route_exist_in_both_directions(labels: Labels) -> None:
    assert pairs(usual(), "fast") == {("a/small", "b/tiny"), ("b/tiny", "a/small")}
    assert len(pairs(usual(), "coder")) == 6


def test_direct_requests_move_along_compatible_providers_and_groups() -> None:
    assert pairs(usual(), "direct") == {("a/*", "b/*"), ("b/*", "a/*")}
    chained = replace(usual(), fallback=Fallback(compatible={"a": ("b",), "b": ("c",)}))
    assert ("c/*", "a/*") in pairs(chained, "direct")
    grouped = replace(usual(), fallback=Fallback(groups=(("a/x", "a/small", "c/z"),)))
    assert pairs(grouped, "direct") == {("a/*", "a/*"), ("a/*", "c/*"), ("c/*", "a/*")}
    assert pairs(replace(usual(), fallback=Fallback()), "direct") == set()


def test_reasons_that_a_configuration_rules_out_have_no_series() -> None:
    def reasons(config: Config) -> set[str]:
        found = Labels(config).series()
        return {values[3] for metric, values in found if metric is catalogue.FALLBACKS}

    assert "at_capacity" not in reasons(replace(usual(), fallback=Fallback()))
    capped = replace(
        provider("a"), credentials=(Credential(name="k", key=Secret("s"), max_in_flight=1),)
    )
    limited = replace(usual(), providers={**usual().providers, "a": capped}, fallback=Fallback())
    assert "at_capacity" in reasons(limited)


def test_one_key_cannot_rotate() -> None:
    one = replace(provider("a"), credentials=(Credential(name="k", key=Secret("s")),))
    found = Labels(Config(providers={"a": one})).series()
    assert not [values for metric, values in found if metric is catalogue.ROTATIONS]


FORMULA = (
    "104 + 59 × routes + 9 × places + 67 × pairs + 57 × models + 68 × providers + 4 × credentials"
    " + 36 × direct pairs"
)


@pytest.mark.parametrize("routes", range(4))
@pytest.mark.parametrize("compatible", [{}, {"a": ("b",)}, {"a": ("b", "c")}])
def test_the_number_of_series_is_the_documented_one(
    routes: int, compatible: dict[str, tuple[str, ...]]
) -> None:
    whole = usual()
    config = replace(whole, routes=whole.routes[:routes], fallback=Fallback(compatible=compatible))
    labels = Labels(config)
    sizes = [len(route.targets) for route in config.routes]
    counted = {
        "routes": len(sizes),
        "places": sum(sizes),
        "pairs": sum(size * (size - 1) // 2 for size in sizes),
        "models": len(labels.models) + len(config.providers),
        "providers": len(config.providers),
        "credentials": sum(len(each.credentials) for each in config.providers.values()),
        "direct pairs": len(pairs(config, "direct")),
    }
    terms = [term.split(" × ") for term in FORMULA.split(" + ")]
    assert labels.count() == sum(
        int(term[0]) * (counted[term[1]] if len(term) > 1 else 1) for term in terms
    )


def test_the_documentation_says_how_many_series_there_are() -> None:
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert FORMULA in page
    usual_count = Labels(replace(usual(), fallback=Fallback())).count()
    assert f"make {usual_count};" in page
