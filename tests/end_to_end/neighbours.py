"""The programs around a gateway, the real ones, and what stands at the ends: collector, receiver."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from dashboards import stack
from dashboards.build import OUTPUT
from tests.end_to_end.gateways import ROOT, eventually
from tests.programs import program

START_SECONDS = 60.0
"""Both programs take a second on a quiet machine."""
GRAFANA = ROOT / OUTPUT


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@dataclass
class Collector:
    """An OTLP receiver over HTTP; keeps the spans it is sent."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        for resource in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return web.Response()

    def of_trace(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id.hex() == trace_id]


def said(span: Span) -> dict[str, Any]:
    """Its attributes, by name."""
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


@dataclass
class Receiver:
    """Where Alertmanager sends its notifications."""

    url: str = ""
    notified: list[dict[str, Any]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.notified.append(await request.json())
        return web.Response()

    def alerts(self, status: str) -> list[dict[str, Any]]:
        """In the order in which they came; one notification may hold several."""
        return [each for one in self.notified for each in one["alerts"] if each["status"] == status]


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    found = Collector()
    async with _listening("/v1/traces", found.take) as found.url:
        yield found


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    async with _listening("/alerts", found.take) as url:
        found.url = f"{url}/alerts"
        yield found


@asynccontextmanager
async def _listening(path: str, handler: Any) -> AsyncIterator[str]:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post(path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class Prometheus:
    url: str
    http: aiohttp.ClientSession

    async def asked(self, path: str, **query: str) -> Any:
        """What `/api/v1/<path>` answers. Raises AssertionError with Prometheus' own words."""
        async with self.http.post(f"{self.url}/api/v1/{path}", data=query) as response:
            return _data(await response.json())

    async def got(self, path: str) -> Any:
        """The same for those that are only to be had with GET."""
        async with self.http.get(f"{self.url}/api/v1/{path}") as response:
            return _data(await response.json())


def _data(answer: Mapping[str, Any]) -> Any:
    assert answer["status"] == "success", answer
    return answer["data"]


@asynccontextmanager
async def prometheus(
    folder: Path,
    gateway: str,
    *,
    alertmanager: str = "",
    changed: Mapping[str, str] | None = None,
) -> AsyncIterator[Prometheus]:
    """With the shipped configuration and rules, but for addresses and for looking every second.

    `changed`: texts of the rules to replace, to make them quicker.
    """
    settings = yaml.safe_load((GRAFANA / "native" / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    [scraped] = settings["scrape_configs"]
    scraped["static_configs"] = [{"targets": [gateway.removeprefix("http://")]}]
    targets = [alertmanager.removeprefix("http://")] if alertmanager else []
    settings["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": targets}]}]
    rules = folder / "rules"
    rules.mkdir()
    for path in (GRAFANA / "rules").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        for old, new in (changed or {}).items():
            text = text.replace(old, new)
        (rules / path.name).write_text(text, encoding="utf-8")
    settings["rule_files"] = [str(rules / "*.yml")]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    arguments = (
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        *stack.PROMETHEUS_FLAGS,
    )
    async with _started(folder, "prometheus", arguments, f"{url}/-/ready") as http:
        yield Prometheus(url, http)


@asynccontextmanager
async def alertmanager(folder: Path, notify: str) -> AsyncIterator[str]:
    """With the shipped routes and inhibitions; it gathers for a second instead of a minute. Its URL."""
    settings = yaml.safe_load((GRAFANA / "native" / "alertmanager.yml").read_text())
    quick = {"group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"}
    settings["route"] |= quick
    settings["route"]["routes"] = [each | quick for each in settings["route"]["routes"]]
    for each in settings["receivers"]:
        each["webhook_configs"] = [{"url": notify, "send_resolved": True}]
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    arguments = (
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
    )
    async with _started(folder, "prometheus-alertmanager", arguments, f"{url}/-/ready"):
        yield url


@asynccontextmanager
async def _started(
    folder: Path, name: str, arguments: tuple[str, ...], ready: str
) -> AsyncIterator[aiohttp.ClientSession]:
    """A program of the system, once it is ready; killed at the end."""
    output = folder / f"{name}.txt"
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            program(name), *arguments, stdout=file, stderr=file, cwd=folder
        )
    try:
        async with aiohttp.ClientSession() as http:

            async def answers() -> bool:
                assert process.returncode is None, output.read_text()
                try:
                    async with http.get(ready) as response:
                        return response.status == 200
                except aiohttp.ClientConnectionError:
                    return False

            await eventually(answers, START_SECONDS)
            yield http
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
