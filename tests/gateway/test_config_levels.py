from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway import config_file
from gateway.config import STABILITY_KEYS
from gateway.config_levels import OF_ACCOUNTS, OF_PLACES, OF_ROUTES

ROUTING = Path(__file__).parents[2] / "gateway" / "routing"
TEXT = """
providers: {{sim: {{dialect: simulated, stability: {{{provider}}}}}}}
routes: [{{name: coder, targets: [sim/a], stability: {{{route}}}}}]
"""


def warnings(tmp_path: Path, *, provider: str = "", route: str = "") -> tuple[str, ...]:
    path = tmp_path / "evenkeel.yaml"
    path.write_text(TEXT.format(provider=provider, route=route))
    return config_file.load(path, environ={}, cwd=tmp_path).warnings


def test_every_parameter_has_its_level() -> None:
    assert OF_ACCOUNTS | OF_ROUTES | OF_PLACES == STABILITY_KEYS
    assert not OF_ACCOUNTS & OF_ROUTES


@pytest.mark.parametrize("name", sorted(STABILITY_KEYS - {"preset"}))
def test_every_parameter_is_read_by_the_core(name: str) -> None:
    texts = (path.read_text(encoding="utf-8") for path in ROUTING.glob("*.py"))
    assert any(re.search(rf"\.{name}\b", text) for text in texts)


def test_an_override_that_nobody_asks_for_is_pointed_out(tmp_path: Path) -> None:
    found = warnings(tmp_path, provider="max_attempts: 2", route="breaker_failures: 2")
    assert found == (
        "providers.sim.stability.max_attempts: has no effect here; set it for the route",
        "routes[0].stability.breaker_failures: has no effect here; set it for the provider",
    )


def test_what_has_an_effect_and_what_a_preset_brings_is_not_pointed_out(tmp_path: Path) -> None:
    both = "cooldown_min_seconds: 5, preset: interactive"
    found = warnings(
        tmp_path, provider=f"{both}, breaker_failures: 2", route=f"{both}, max_attempts: 2"
    )
    assert found == ()
