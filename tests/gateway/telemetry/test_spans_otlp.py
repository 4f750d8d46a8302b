from __future__ import annotations

from random import Random
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway.telemetry.spans import Attributes, Ids, Role, Told
from gateway.telemetry.spans_otlp import NANOS, message, span

KINDS = {
    Role.INTERNAL: Span.SPAN_KIND_INTERNAL,
    Role.SERVER: Span.SPAN_KIND_SERVER,
    Role.CLIENT: Span.SPAN_KIND_CLIENT,
}
VALUES: tuple[Any, ...] = (
    "",
    "short",
    "x" * 125,
    "y" * 126,
    "z" * 20_000,
    "é漢 text",
    True,
    False,
    0,
    127,
    128,
    2**40,
    -1,
    -(2**63),
    1.5,
    -0.0,
)


def ids(rng: Random) -> Ids:
    return Ids(f"{rng.getrandbits(128):032x}", f"{rng.getrandbits(64):016x}")


def attributes(rng: Random) -> Attributes:
    return {f"some.name.{n}": rng.choice(VALUES) for n in range(rng.randrange(6))}


def any_told(rng: Random) -> Told:
    started = rng.randrange(2**50)
    return Told(
        name=rng.choice(("chat gpt", "", "n" * 300)),
        role=rng.choice(list(Role)),
        ids=ids(rng),
        parent=rng.choice(("", f"{rng.getrandbits(64):016x}")),
        remote_parent=rng.random() < 0.5,
        links=tuple(ids(rng) for _ in range(rng.randrange(3))),
        attributes=attributes(rng),
        events=tuple((f"event {n}", attributes(rng), started + n) for n in range(rng.randrange(3))),
        error=rng.choice(("", "overloaded")),
        started=started,
        ended=started + rng.randrange(-5, 10**6),
    )


def read(found: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in found}


@pytest.mark.parametrize("seed", range(40))
def test_opentelemetrys_own_classes_read_what_was_meant(seed: int) -> None:
    rng = Random(seed)
    meant = [any_told(rng) for _ in range(rng.randrange(4))]
    text = message(
        map(span, meant), resource={"service.name": "s"}, name="n", version="v", schema="http://s"
    )
    (resource,) = ExportTraceServiceRequest.FromString(text).resource_spans
    (scope,) = resource.scope_spans
    assert read(resource.resource.attributes) == {"service.name": "s"}
    assert (scope.scope.name, scope.scope.version, scope.schema_url) == ("n", "v", "http://s")
    assert len(scope.spans) == len(meant)
    for told, found in zip(meant, scope.spans, strict=True):
        assert Ids(found.trace_id.hex(), found.span_id.hex()) == told.ids
        assert found.parent_span_id.hex() == told.parent
        remote = 0x200 if told.parent and told.remote_parent else 0
        assert found.flags == 0x100 | remote
        assert (found.name, found.kind) == (told.name, KINDS[told.role])
        assert found.start_time_unix_nano == told.started * NANOS
        assert found.end_time_unix_nano == max(told.started, told.ended) * NANOS
        assert read(found.attributes) == dict(told.attributes)
        assert [(each.name, read(each.attributes)) for each in found.events] == [
            (name, dict(values)) for name, values, _ in told.events
        ]
        times = [each.time_unix_nano for each in found.events]
        assert times == [ts * NANOS for _, _, ts in told.events]
        assert [Ids(each.trace_id.hex(), each.span_id.hex()) for each in found.links] == list(
            told.links
        )
        assert [each.flags for each in found.links] == [0x100] * len(told.links)
        code = Status.STATUS_CODE_ERROR if told.error else Status.STATUS_CODE_UNSET
        assert (found.status.code, found.status.message) == (code, told.error)


def test_a_name_that_is_no_text_is_sent_all_the_same() -> None:
    told = Told(
        name="chat \ud800",
        role=Role.CLIENT,
        ids=Ids("0" * 31 + "1", "0" * 15 + "1"),
        started=1,
        ended=2,
    )
    text = message([span(told)], resource={}, name="n", version="v", schema="s")
    (resource,) = ExportTraceServiceRequest.FromString(text).resource_spans
    assert resource.scope_spans[0].spans[0].name == "chat ?"
