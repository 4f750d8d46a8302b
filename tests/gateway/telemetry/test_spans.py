from __future__ import annotations

import subprocess
import sys

from gateway.events import AttemptFinished, CandidateSkipped, RequestFinished, Switched
from gateway.telemetry.spans import Part, Role, Words, operation_span, root
from tests.storage.samples import example

WORDS = Words("1.41")


def test_ids_follow_from_what_is_known_and_have_the_right_length() -> None:
    assert operation_span("r1") == operation_span("r1") != operation_span("r2")
    assert len(operation_span("r1")) == 16
    one, other = root("boot", 1), root("boot", 2)
    assert (len(one.trace), len(one.span)) == (32, 16)
    assert one != other != root("another", 2)


def test_an_empty_value_is_not_said() -> None:
    request = example(RequestFinished, client="", reason="", status=200)
    server = next(iter(WORDS.request(request, [])))
    assert "evenkeel.client" not in server.attributes
    assert server.attributes["http.response.status_code"] == 200


def test_a_request_is_server_operation_and_attempts() -> None:
    parts: list[Part] = [example(CandidateSkipped), example(AttemptFinished), example(Switched)]
    told = list(WORDS.request(example(RequestFinished, waited_seconds=0.0), parts))
    assert [span.role for span in told] == [Role.SERVER, Role.INTERNAL, Role.CLIENT]
    assert len(told[1].events) == 2
    assert told[2].parent == told[1].ids.span


def test_a_wait_is_told_once_where_it_ended() -> None:
    request = example(RequestFinished, waited_seconds=1.5)
    attempts: list[Part] = [example(AttemptFinished, started=7)]
    _, operation, _ = WORDS.request(request, attempts)
    assert operation.events == (("evenkeel.waited", {"evenkeel.waited_seconds": 1.5}, 7),)


def test_opentelemetry_is_not_needed() -> None:
    code = (
        "import sys, gateway.telemetry.spans;"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
