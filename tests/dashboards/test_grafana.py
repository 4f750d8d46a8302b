from __future__ import annotations

from typing import Any

import pytest

from dashboards.build import BOARDS
from dashboards.grafana import COLUMNS, SCHEMA_VERSION, rendered
from dashboards.model import Board

SCHEMA_MAX = 42


@pytest.fixture(params=BOARDS, ids=lambda board: board.uid)
def board(request: pytest.FixtureRequest) -> Board:
    found: Board = request.param
    return found


def test_the_json_is_classic_and_can_not_be_edited(board: Board) -> None:
    made = rendered(board, BOARDS)
    assert made["schemaVersion"] == SCHEMA_VERSION <= SCHEMA_MAX
    assert made["editable"] is False
    assert made["uid"] == board.uid
    assert len(made["links"]) == len(BOARDS) - 1


def test_ids_are_unique_and_panels_do_not_overlap(board: Board) -> None:
    panels = rendered(board, BOARDS)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= COLUMNS
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_source_is_a_variable(board: Board) -> None:
    made = rendered(board, BOARDS)
    sources = [panel["datasource"]["uid"] for panel in made["panels"] if "targets" in panel]
    assert set(sources) <= {"${datasource}", "${history}"}
    names = {each["name"] for each in made["templating"]["list"]}
    assert {"datasource", "history", "job", "instance"} <= names


def test_what_happened_is_marked_from_the_history(board: Board) -> None:
    marks: list[dict[str, Any]] = rendered(board, BOARDS)["annotations"]["list"]
    assert [each["name"] for each in marks] == ["Switches", "Reloads", "Operators"]
    for each in marks:
        computed = each["target"]["computed_columns"]
        assert computed == [{"selector": "ts / 1000", "text": "time", "type": "timestamp_epoch"}]


LOWEST = {"evenkeel-credentials", "evenkeel-internals"}


def test_every_panel_leads_down_but_for_those_of_the_lowest_boards(board: Board) -> None:
    for panel in rendered(board, BOARDS)["panels"]:
        if panel["type"] != "row" and board.uid not in LOWEST:
            assert panel["links"], panel["title"]
