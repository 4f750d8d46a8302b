from __future__ import annotations

from gateway.relay.inbound import Inbound
from gateway.routing.steps import Facts
from gateway.units import Instant, Moment, RequestId, Timestamp
from tests.gateway.relay.carrying import OPENAI

FACTS = Facts(
    request_id=RequestId("01X"),
    trace_id="",
    span_id="",
    parent_span_id="",
    session="",
    client="",
    endpoint="/v1/chat/completions",
    dialect="openai",
    requested_model="coder",
    stream=False,
    body_tokens=0,
    bytes_received=0,
    began=Moment(Instant(0.0), Timestamp(0)),
)
BODY = b'{ "model" : "coder", "x": [1.0] }'


def inbound(*headers: tuple[str, str], query: str = "") -> Inbound:
    return Inbound(
        wire=OPENAI,
        path="/chat/completions",
        raw_query=query,
        raw_headers=headers,
        body=BODY,
        facts=FACTS,
    )


def test_the_body_changes_in_the_model_alone_and_is_made_once_for_each() -> None:
    made = inbound()
    assert made.body_for("coder")[0] is BODY
    assert made.body_for("gpt-5.2") == (b'{ "model" : "gpt-5.2", "x": [1.0] }', ())
    assert made.body_for("gpt-5.2") is made.body_for("gpt-5.2")
    assert made.body_for('q"\\')[0] == b'{ "model" : "q\\"\\\\", "x": [1.0] }'


def test_no_credential_of_the_client_goes_upstream() -> None:
    made = inbound(
        ("Authorization", "Bearer mine"),
        ("X-Api-Key", "mine"),
        ("Cookie", "mine"),
        ("X-Kept", "1"),
        ("X-Kept", "2"),
        query="key=mine&beta=true&api_key=mine",
    )
    assert made.upstream_headers == [("X-Kept", "1"), ("X-Kept", "2")]
    assert made.query == "beta=true"
