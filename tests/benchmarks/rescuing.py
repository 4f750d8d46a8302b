"""What a rescue adds: requests that fail at the first provider, in turn with requests that do not.

A gateway that leaves a failing provider rescues one request and no more. So ours gets a route for
each request that is to be rescued, all else as by default; the others rescue each one anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import peers
from tests.benchmarks.faults import Subject, behind, evenkeel
from tests.benchmarks.faulty import Fault, Faulty
from tests.benchmarks.leaving import percentile
from tests.benchmarks.peers import Peer
from tests.benchmarks.steady import Ask, Traffic

SECONDS = 20.0
WARM_SECONDS = 3.0


def with_routes(count: int, folder: Path, upstreams: list[str]) -> Peer:
    """Ours: `bench-0`, `bench-1`, …, each of two targets of its own, and `plain` on the second provider."""
    peer = evenkeel(folder, upstreams)
    config = folder / "evenkeel.yaml"
    kept, _, _ = config.read_text("utf-8").partition("routes:")
    routes = [
        f"  - {{name: bench-{n}, targets: [first/model-{n}, second/model-{n}]}}"
        for n in range(count)
    ]
    lines = [f"{kept}routes:", *routes, "  - {name: plain, targets: [second/model-plain]}", ""]
    config.write_text("\n".join(lines), encoding="utf-8")
    return peer


def ours(per_second: float, seconds: float) -> tuple[Subject, list[str]]:
    """With the models to be asked for in turn."""
    count = int(per_second * seconds / 2)
    subject = Subject(
        name="evenkeel",
        make=lambda folder, upstreams: with_routes(count, folder, upstreams),
        per_second=per_second,
    )
    return subject, [name for n in range(count) for name in (f"bench-{n}", "plain")]


async def rescues(
    subject: Subject,
    models: Sequence[str],
    kind: Fault,
    *,
    seconds: float = SECONDS,
    warm: float = WARM_SECONDS,
) -> dict[str, float | None]:
    """Of requests that met the fault and of those between them that did not.

    `models` are asked for in turn; of Portkey, which has no names for routes, `plain` is the same
    request with the second provider alone.
    """
    first, second = Faulty("first"), Faulty("second")
    await first.listen()
    await second.listen()
    try:
        with behind(subject, first, second) as peer:
            plain = Ask("plain", peer.headers)
            if peer.name == "portkey":
                headers = {**peer.headers, **peers.portkey_headers([second.url])}
                headers.pop("x-portkey-config")
                plain = Ask(peer.model, headers)
            asks = [plain if name == "plain" else Ask(name, peer.headers) for name in models]
            warming = Traffic(peer.port, [plain], path=peer.path, streamed=False)
            await _for(warming, subject.per_second, warm)
            await first.turn(kind)
            traffic = Traffic(peer.port, asks, path=peer.path, streamed=False)
            await _for(traffic, subject.per_second, seconds)
    finally:
        first.close()
        second.close()
    met = {each.number for each in first.arrivals if each.fault is not Fault.NONE}
    rescued = [a for a in traffic.answers if a.whole and a.number in met]
    others = [a for a in traffic.answers if a.whole and a.number not in met]
    return {
        "rescued": len(rescued),
        "lost": sum(not a.whole for a in traffic.answers),
        "plain_p50_ms": percentile(others, 50),
        "plain_p99_ms": percentile(others, 99),
        "rescued_p50_ms": percentile(rescued, 50),
        "rescued_p99_ms": percentile(rescued, 99),
    }


async def _for(traffic: Traffic, per_second: float, seconds: float) -> None:
    running = asyncio.ensure_future(traffic.run(per_second))
    await asyncio.sleep(seconds)
    running.cancel()
    await asyncio.wait([running])
    await traffic.close()
