from __future__ import annotations

from random import Random
from typing import Any

import pytest

from gateway.events import CooldownStarted
from gateway.replay.operators import play_act
from gateway.routing.hands import Hands
from gateway.routing.pool import Pool
from gateway.units import Instant, Moment
from tests.gateway.replay.building import SINCE, at, config, speaks

NOW = Moment(Instant(1000.0), SINCE)


def acted(action: str, **places: Any) -> list[str] | None:
    pool = Pool(config("a/model", "b/model"), rng=Random(1), now=NOW, speaks=speaks)
    row = {"action": action, "ts": at(0), "actor": "me", "note": "why", "until": None, **places}
    events = play_act(Hands(pool, rng=Random(1)), row, NOW)
    return None if events is None else [each.kind for each in events]


@pytest.mark.parametrize(
    ("action", "places"),
    [
        ("reset", {"target": "a/model", "provider": "a"}),
        ("rest", {"target": "a/model", "provider": "a"}),
        ("drain", {"target": "a/model"}),
        ("enable", {"target": "a/model"}),
        ("pin", {"route": "coder", "target": "b/model"}),
        ("unpin", {"route": "coder"}),
        ("clear_penalty", {"route": "coder"}),
    ],
)
def test_every_act_is_done_again(action: str, places: dict[str, Any]) -> None:
    kinds = acted(action, **places)
    assert kinds is not None
    assert kinds[0] == "operator_acted"


def test_an_act_on_what_is_not_there_does_nothing() -> None:
    assert acted("drain", target="c/model") is None
    assert acted("sing") is None


def test_an_act_ends_when_it_ended() -> None:
    pool = Pool(config("a/model"), rng=Random(1), now=NOW, speaks=speaks)
    row = {"action": "rest", "ts": at(0), "target": "a/model", "until": at(90)}
    events = play_act(Hands(pool, rng=Random(1)), row, NOW)
    assert events is not None
    assert [each.until for each in events if isinstance(each, CooldownStarted)] == [at(90)]
