"""A scenario over one's own configuration: the weather by rank, everything else one's own."""

from __future__ import annotations

import pytest

from gateway.config import Config, Dialect
from gateway.config_file import ConfigError, parse
from gateway.dry_run.stage import play
from gateway.dry_run.standing_in import over
from tests.gateway.dry_run.building import script

OWN = """
providers:
  anthropic:
    credentials: [{name: work, key: sk-ant-very-secret}, {name: home, key: sk-ant-other-secret}]
    rotation: balanced
  openai:
    credentials: [{name: main, key: sk-proj-very-secret}]
  local: {dialect: openai, base_url: "http://127.0.0.1:9/v1", credentials: []}
routes:
  - {name: chat, targets: [openai/gpt, anthropic/claude]}
  - {name: coder, targets: [anthropic/claude, anthropic/small, openai/gpt, local/llama]}
stability: {cooldown_min_seconds: 120}
"""


def own() -> Config:
    return parse(OWN, environ={})


def test_every_provider_becomes_a_simulated_one_without_its_keys() -> None:
    found = over(script(), own()).config
    assert {each.dialect for each in found.providers.values()} == {Dialect.SIMULATED}
    assert not any(key.key for each in found.providers.values() for key in each.credentials)
    assert [key.name for key in found.providers["anthropic"].credentials] == ["work", "home"]
    assert found.providers["anthropic"].rotation == "balanced"
    assert found.stability.cooldown_min_seconds == 120
    assert found.providers["local"].credentials, "one that asks for no key is still asked"


@pytest.mark.parametrize(("route", "first"), [("", "openai"), ("coder", "anthropic")])
def test_what_happens_to_the_scenarios_first_provider_happens_to_the_routes(
    route: str, first: str
) -> None:
    found = over(script(), own(), route=route)
    stormy = [name for name, each in found.config.providers.items() if each.simulated.weather]
    assert stormy == [first]
    assert {each.route for each in found.scenario.traffic} == {route or "chat"}


def test_dead_keys_and_operators_acts_find_what_has_their_rank() -> None:
    deeds = (
        "operator: [{act: pin, target: backup/large}, {act: reset, provider: primary}]\nconfig:\n"
    )
    dead = ("answer_tokens: 2\n        weather", "dead_credentials: [spare]\n        weather")
    found = over(script(("config:\n", deeds), dead), own(), route="coder")
    assert found.config.providers["anthropic"].simulated.dead_credentials == ("home",)
    pin, reset = found.scenario.operator
    assert (pin.route, pin.target) == ("coder", "anthropic/small")
    assert reset.provider == "anthropic"
    few = over(script(("config:\n", deeds), dead), own(), route="chat")
    assert few.config.providers["openai"].simulated.dead_credentials == ()


def test_it_plays() -> None:
    played = play(over(script(), own(), route="coder"))
    assert played.faults == ()
    assert played.figures.switches >= 2


def test_a_route_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'codr'.*chat, coder"):
        over(script(), own(), route="codr")
    with pytest.raises(ConfigError, match="no route"):
        over(script(), Config())
