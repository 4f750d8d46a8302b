"""Names in, chains of targets out."""

from __future__ import annotations

from typing import Any

from gateway.config import Config, Fallback, ModelRules
from gateway.routing.directory import DIRECT, Directory
from tests.gateway.routing.building import config, provider, route

COMPATIBLE = {"gemini_cli": ("antigravity",), "antigravity": ("gemini_cli",)}
NAMES = {"gemini_cli/gemini-3-pro": "antigravity/gemini-3-pro-high"}


def directory(**fallback: Any) -> Directory:
    return Directory(setting(Fallback(**fallback)))


def setting(fallback: Fallback) -> Config:
    providers = [provider(name) for name in ("gemini_cli", "antigravity", "third")]
    return config(
        *providers, routes=[route("coder", "third/m", "antigravity/m")], fallback=fallback
    )


def chain(of: Directory, name: str) -> list[str]:
    found = of.find(name)
    assert found is not None
    return [each.target for each in found.targets]


def test_a_route_has_its_targets_in_the_configured_order_and_its_own_label() -> None:
    it = directory()
    found = it.find("coder")
    assert found is not None
    assert chain(it, "coder") == ["third/m", "antigravity/m"]
    assert (found.name, found.label) == ("coder", "coder")


def test_a_direct_name_falls_back_to_the_compatible_provider_under_the_same_name() -> None:
    it = directory(compatible=COMPATIBLE)
    assert chain(it, "gemini_cli/flash") == ["gemini_cli/flash", "antigravity/flash"]
    assert chain(it, "antigravity/flash") == ["antigravity/flash", "gemini_cli/flash"]


def test_a_direct_name_is_never_a_label() -> None:
    found = directory().find("third/anything")
    assert found is not None
    assert (found.name, found.label) == ("third/anything", DIRECT)


def test_a_model_that_is_called_otherwise_elsewhere_is_asked_for_by_that_name_both_ways() -> None:
    it = directory(compatible=COMPATIBLE, model_names=NAMES)
    assert chain(it, "gemini_cli/gemini-3-pro") == [
        "gemini_cli/gemini-3-pro",
        "antigravity/gemini-3-pro-high",
    ]
    assert chain(it, "antigravity/gemini-3-pro-high") == [
        "antigravity/gemini-3-pro-high",
        "gemini_cli/gemini-3-pro",
    ]


def test_compatible_providers_are_walked_breadth_first_each_once() -> None:
    it = directory(
        compatible={
            "gemini_cli": ("antigravity", "third"),
            "antigravity": ("gemini_cli",),
            "third": ("gemini_cli", "antigravity"),
        }
    )
    assert chain(it, "gemini_cli/m") == ["gemini_cli/m", "antigravity/m", "third/m"]
    assert chain(it, "third/m") == ["third/m", "gemini_cli/m", "antigravity/m"]


def test_a_group_comes_before_compatible_providers_and_names_each_target_once() -> None:
    it = directory(compatible=COMPATIBLE, groups=(("third/big", "gemini_cli/m", "antigravity/m"),))
    assert chain(it, "gemini_cli/m") == ["gemini_cli/m", "third/big", "antigravity/m"]


def test_a_stand_in_whose_provider_is_unknown_or_forbids_the_model_is_left_out() -> None:
    providers = [
        provider("a"),
        provider("b", models=ModelRules(ignore=("m",))),
        provider("c"),
    ]
    fallback = Fallback(compatible={"a": ("b", "nowhere", "c")})
    assert chain(Directory(config(*providers, fallback=fallback)), "a/m") == ["a/m", "c/m"]


def test_names_that_nobody_configured_are_not_found() -> None:
    it = Directory(config(provider("a", models=ModelRules(allow=("gpt-*",)))))
    for name in ("nobody", "nobody/m", "a/", "a", "/m", "", "a/claude"):
        assert it.find(name) is None
    assert chain(it, "a/gpt-5") == ["a/gpt-5"]


def test_a_model_name_may_hold_slashes() -> None:
    it = directory(compatible={"third": ("antigravity",)})
    assert chain(it, "third/org/model") == ["third/org/model", "antigravity/org/model"]


def test_the_nearest_known_names_are_proposed() -> None:
    it = directory()
    assert it.nearest("coderr") == ["coder"]
    assert it.nearest("zzzzzz") == []


def test_routes_then_listed_models_then_targets_are_the_names() -> None:
    listed = provider("a", models=ModelRules(list=("m1", "m2"), ignore=("m2",)))
    it = Directory(config(listed, routes=[route("coder", "a/m1", "a/m3")]))
    assert it.names() == ["coder", "a/m1", "a/m3"]


def test_a_route_wins_over_a_provider_with_a_name_alike() -> None:
    it = Directory(config(provider("a"), provider("b"), routes=[route("a/m", "b/other")]))
    found = it.find("a/m")
    assert found is not None
    assert (found.label, chain(it, "a/m")) == ("a/m", ["b/other"])
