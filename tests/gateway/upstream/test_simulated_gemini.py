from __future__ import annotations

import json
from random import Random

from gateway.upstream.simulated_gemini import (
    gemini_count_body,
    gemini_embedding_body,
    gemini_models_body,
)
from gateway.wire.gemini import GeminiWire
from tests.gateway.wire.judging import verdict


def test_counts_and_embeddings_are_whole_answers() -> None:
    wire = GeminiWire("m")
    for body in (
        gemini_count_body(7),
        gemini_embedding_body(Random(1), inputs=None),
        gemini_embedding_body(Random(1), inputs=2),
    ):
        assert verdict(wire, body, stream=False)[:3] == (True, True, None)


def test_models_are_named_as_google_names_them() -> None:
    listed = json.loads(gemini_models_body(["a", "b"]))["models"]
    assert [each["name"] for each in listed] == ["models/a", "models/b"]
