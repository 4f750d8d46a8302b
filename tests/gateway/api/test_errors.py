from __future__ import annotations

import pytest

from tests.gateway.api.serving import Api, api


async def test_errors_outside_inference_have_one_shape() -> None:
    async with api() as a:
        status, body = await a.get("/nothing")
        assert status == 404
        assert body == {
            "error": {"code": "not_found", "message": "There is nothing at '/nothing'."}
        }
        status, body = await a.post("/api/v1/status", {})
        assert (status, body["error"]["code"]) == (405, "method_not_allowed")
        assert body["error"]["message"] == "POST is not allowed at '/api/v1/status'."


@pytest.mark.parametrize(
    ("path", "headers", "anthropic"),
    [
        ("/v1/nothing", {}, False),
        ("/v1/messages/nothing", {}, True),
        ("/v1/models/nothing", {"anthropic_version": "2023-06-01"}, True),
    ],
)
async def test_under_v1_an_sdk_can_parse_them(
    path: str, headers: dict[str, str], *, anthropic: bool
) -> None:
    async with api() as a:
        status, body = await a.get(path, **headers)
        assert status == (501 if path.startswith("/v1/messages") else 404)
        if anthropic:
            assert body["type"] == "error"
        else:
            assert body["error"]["type"] == "invalid_request_error"


async def test_a_question_that_cannot_be_and_a_store_that_is_away_are_told_apart() -> None:
    async with api() as a:
        status, body = await a.get("/api/v1/events?kin=x")
        assert (status, body["error"]["code"]) == (400, "invalid_query")
        a.history.unavailable = "the disk is gone"
        for path in ("events", "requests/x", "switches/aggregate"):
            status, body = await a.get(f"/api/v1/{path}")
            assert (status, body["error"]["code"]) == (503, "history_unavailable")
            assert body["error"]["message"] == "the disk is gone"


async def test_a_bug_is_an_answer_a_count_and_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    async with api() as a:
        await break_the_status(a)
        status, body = await a.get("/api/v1/status")
        assert status == 500
        assert body["error"] == {
            "code": "internal_error",
            "message": "The gateway itself failed; its log says how.",
        }
        assert a.context.internal_errors == 1
        [record] = [each for each in caplog.records if each.name == "gateway.api.errors"]
        assert record.exc_info is not None


async def break_the_status(a: Api) -> None:
    def fail() -> dict[str, object]:
        message = "a secret in a message of a bug"
        raise RuntimeError(message)

    a.history.store = fail  # type: ignore[method-assign]
