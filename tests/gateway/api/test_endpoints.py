from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.api.endpoints import ENDPOINTS, Endpoint, fixed, of_gemini, wire_of


def asked(rest: str, query: str = "") -> Endpoint | None:
    request = make_mocked_request("POST", f"/v1beta/models/{rest}{query}")
    request.match_info["rest"] = rest
    return of_gemini(request)


@pytest.mark.parametrize("model", ["gemini-x", "openai/gpt-5.2", "ollama/qwen:7b", "a/b/c:d"])
def test_a_model_in_a_path_may_hold_slashes_and_colons(model: str) -> None:
    found = asked(f"{model}:generateContent")
    assert found is not None
    assert found.wire.read(b"{}").model == model
    assert found.path == "/v1beta/models/{model}:generateContent"
    assert found.upstream_path == "/models/{model}:generateContent"
    assert (found.talks, found.as_array) == (True, False)


@pytest.mark.parametrize("rest", ["m", "m:predict", ":generateContent", "m:", "m/generateContent"])
def test_what_names_no_method_is_none(rest: str) -> None:
    assert asked(rest) is None


def test_a_stream_is_an_array_unless_events_are_asked_for() -> None:
    for query, as_array in (("", True), ("?alt=json", True), ("?alt=sse", False)):
        found = asked("m:streamGenerateContent", query)
        assert found is not None
        assert found.as_array is as_array
        assert found.wire.read(b"{}").stream


def test_embeddings_carry_no_conversation() -> None:
    talking = {each.path for each in ENDPOINTS if each.talks}
    assert talking == {each.path for each in ENDPOINTS} - {"/v1/embeddings"}
    found = asked("m:embedContent")
    assert found is not None
    assert not found.talks
    request = make_mocked_request("POST", "/v1/responses")
    assert fixed(request).wire.name == "responses"


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/v1/nothing", {}, "openai"),
        ("/v1/messages/nothing", {}, "anthropic"),
        ("/v1/models/x", {"anthropic-version": "2026-10-21"}, "anthropic"),
        ("/v1beta/models/x", {}, "gemini"),
        ("/v1/models/x:predict", {}, "gemini"),
        ("/v1/models", {"x-goog-api-key": "k"}, "gemini"),
    ],
)
def test_errors_are_worded_for_whoever_listens(
    path: str, headers: dict[str, str], name: str
) -> None:
    assert wire_of(make_mocked_request("GET", path, headers=headers)).name == name
