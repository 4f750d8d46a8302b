"""The sink that counts: events in, Prometheus series out. Names are in `catalogue`.

What happened is counted from events; what is (the active target, running cooldowns, queues) is
read from the pool's snapshot when somebody scrapes. The text is made off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from gateway.config import Config
from gateway.delivery_parts import SinkStats
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    ConfigRejected,
    ConfigReloaded,
    CooldownStarted,
    Event,
    Failure,
    RequestFinished,
    RequestOutcome,
    SessionMoved,
    Stamped,
    Switched,
    SwitchKind,
    Usage,
)
from gateway.routing.snapshot import STATE_CODES, CredentialView, Snapshot, State
from gateway.telemetry import catalogue
from gateway.telemetry.catalogue import OTHER, Kind, Metric
from gateway.telemetry.labels import (
    NO_ROUTE,
    OPERATOR,
    OTHER_RESTS,
    PASSED_OVER,
    SWITCH_REASONS,
    Labels,
    Values,
)
from gateway.telemetry.metrics_series import Board, End, Place
from gateway.telemetry.sampling import Sampling
from gateway.units import MICROS

STORAGE: Final = "storage"
"""Name of the sink that the metrics of written and dropped events are about."""
OPEN_REQUESTS_MAX: Final = 4096
"""Requests whose last failed attempt is remembered, to see rotations: the oldest are forgotten."""
KEPT_MAX: Final = 4096
"""Targets whose series are kept ready; a client may ask for any model."""
END: Final = b"# EOF\n"
"""Of OpenMetrics."""


FAILURES: Final = frozenset(Failure)
FALLBACK_REASONS: Final = FAILURES | frozenset(PASSED_OVER)
COOLDOWN_REASONS: Final = FAILURES | {reason for _, reason, _ in OTHER_RESTS}


VERSIONS: Final = (catalogue.BUILD_INFO, catalogue.CONFIG_INFO)
USABLE: Final = (State.READY, State.HELD, State.SUPPRESSED, State.TRIAL, State.PROBING)


class MetricsSink:
    """A `Sink`. Given the same events again it does not count them twice."""

    name = "metrics"

    def __init__(
        self,
        config: Config,
        *,
        version: str,
        registry: CollectorRegistry,
        sampling: Sampling | None = None,
        others: Sequence[Collector] = (),
    ) -> None:
        """`sampling` says whose spans are kept, and are worth an exemplar; None: nobody's. `others`
        are told before ours: prometheus-client's own collectors, which have few series."""
        self._sampling = sampling
        self._others = CollectorRegistry()
        for other in others:
            self._others.register(other)
        self._board = Board(catalogue.METRICS)
        registry.register(self._board)
        self._places: dict[tuple[str, str], Place] = {}
        self._ends: dict[tuple[str, bool, str], End] = {}
        """Series of what comes with each request, looked up at once."""
        self._seen = 0
        self._boot_id = ""
        self._config_version = ""
        self._failed: dict[str, AttemptFinished] = {}
        self._totals: dict[tuple[Metric, Values], int] = {}
        self._counts: Mapping[type[Event], Callable[[Any], None]] = {
            RequestFinished: self._request,
            AttemptFinished: self._attempt,
            Switched: self._switch,
            CooldownStarted: self._cooldown,
            SessionMoved: self._session,
            ConfigReloaded: self._config,
            ConfigRejected: self._config,
        }
        self.configure(config)
        self._at(catalogue.BUILD_INFO, version).set(1)

    def configure(self, config: Config) -> None:
        """At the start and at each reload. What was counted stays; removed targets lose their state."""
        self._labels = Labels(config)
        self._places.clear()
        self._ends.clear()
        known = set(self._labels.series())
        for metric, family in self._board.families.items():
            if metric.kind is Kind.GAUGE and metric not in VERSIONS:
                for values in [each for each in family if (metric, each) not in known]:
                    self._board.remove(metric, values)
        for metric, values in self._labels.series():
            self._at(metric, *values)

    async def take(self, batch: Sequence[Stamped]) -> None:
        for stamped in batch:
            if stamped.boot_id != self._boot_id:
                self._boot_id, self._seen = stamped.boot_id, 0
            if stamped.seq <= self._seen:
                continue
            self._seen = stamped.seq
            if stamped.config_version != self._config_version:
                self._version(stamped.config_version)
            count = self._counts.get(type(stamped.event))
            if count is not None:
                count(stamped.event)

    async def close(self) -> None:
        """Nothing to close: the numbers end with the process."""

    def scrape(
        self,
        snapshot: Snapshot,
        stats: Mapping[str, SinkStats],
        *,
        store_bytes: int,
        store_oldest: Mapping[str, float] | None = None,
        loop_lag_seconds: float,
        scrape_seconds: float = 0.0,
        spans_dropped: int = 0,
    ) -> Callable[[str], tuple[bytes, str]]:
        """Reads what is, on the loop; what it returns makes the text, and is for another thread.

        That takes an `Accept` header and gives the body and its content type: OpenMetrics where
        the header asks for it.
        """
        self._state(snapshot)
        self._sinks(stats)
        self._at(catalogue.STORE_BYTES).set(store_bytes)
        for table, oldest in (store_oldest or {}).items():
            self._at(catalogue.STORE_OLDEST, table).set(oldest)
        self._at(catalogue.LOOP_LAG).set(loop_lag_seconds)
        self._at(catalogue.SCRAPE_SECONDS).set(scrape_seconds)
        self._raise_to(catalogue.SPANS_DROPPED, total=spans_dropped)
        return self._text

    def _text(self, accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        others = encode(self._others)
        openmetrics = others.endswith(END)
        ours = self._board.text(openmetrics=openmetrics).encode()
        if openmetrics:
            return others.removesuffix(END) + ours + END, content_type
        return others + ours, content_type

    def _at(self, metric: Metric, *values: str) -> Any:  # noqa: ANN401
        return self._board.at(metric, values)

    # -- what happened -------------------------------------------------------------------------

    def _request(self, event: RequestFinished) -> None:
        if self._failed:
            self._failed.pop(event.request_id, None)
        key = (event.route, event.stream, event.outcome._value_)
        end = self._ends.get(key) or self._new_end(key)
        end.requests.inc()
        sampling = self._sampling
        kept = sampling is not None and sampling.request(event)
        seconds = event.duration_seconds
        end.duration.observe(seconds, _exemplar(event, seconds) if kept else None)
        if event.attempts:
            end.overhead.observe(event.overhead_seconds)
        if end.route == NO_ROUTE:
            return
        if event.failure is not None and event.outcome is RequestOutcome.OK:
            self._at(catalogue.RESCUES, end.route).inc()
        if event.fallback_from and event.provider:
            self._fallback(event, end.route)

    def _new_end(self, key: tuple[str, bool, str]) -> End:
        route, stream, outcome = key
        route = self._labels.route(route)
        end = End(
            route,
            self._at(catalogue.REQUESTS, route, outcome),
            self._at(catalogue.REQUEST_DURATION, route, catalogue.STREAM[stream]),
            self._at(catalogue.OVERHEAD, catalogue.PHASES[0]),
        )
        if len(self._ends) < KEPT_MAX:
            self._ends[key] = end
        return end

    def _fallback(self, event: RequestFinished, route: str) -> None:
        origin = self._labels.hop(route, event.fallback_from)
        to = self._labels.hop(route, f"{event.provider}/{event.model}")
        reason = _among(FALLBACK_REASONS, event.fallback_reason)
        self._at(catalogue.FALLBACKS, route, origin, to, reason).inc()
        if event.cost_usd is not None:
            self._at(catalogue.FALLBACK_COST, route).inc(max(0.0, event.cost_usd))

    def _attempt(self, event: AttemptFinished) -> None:
        key = (event.provider, event.model)
        place = self._places.get(key) or self._new_place(key)
        sampling = self._sampling
        kept = sampling is not None and sampling.attempt(event)
        if event.outcome is AttemptOutcome.OK and event.failure is None:
            attempts = place.ok
        else:
            failure = "" if event.failure is None else event.failure._value_
            ending = (event.outcome._value_, failure)
            attempts = self._at(catalogue.ATTEMPTS, place.provider, place.model, *ending)
        attempts.inc(1, _exemplar(event, 1) if kept else None)
        place.duration.observe(event.duration_seconds)
        first = event.first_content_seconds
        if first is not None:
            place.first.observe(first, _exemplar(event, first) if kept else None)
        if event.probe:
            route = self._labels.route(event.route)
            target = self._labels.hop(route, f"{event.provider}/{event.model}")
            self._at(catalogue.PROBES, route, target, event.outcome._value_).inc()
        if event.usage is not None:
            self._usage(event.usage, place)
        if event.cost_usd is not None:
            self._at(catalogue.COST, place.provider, place.model).inc(max(0.0, event.cost_usd))
        if event.quota_remaining is not None and self._labels.credential(
            event.provider, event.credential
        ):
            left = self._at(catalogue.QUOTA_REMAINING, event.provider, event.credential)
            left.set(event.quota_remaining)
        if self._failed or event.outcome is AttemptOutcome.FAILED:
            self._rotation(event)

    def _usage(self, usage: Usage, place: Place) -> None:
        for field, kind in catalogue.TOKEN_KINDS.items():
            tokens = getattr(usage, field)
            if tokens is not None:
                self._at(catalogue.TOKENS, place.provider, place.model, kind).inc(max(0, tokens))

    def _new_place(self, key: tuple[str, str]) -> Place:
        provider, model = self._labels.provider(key[0]), self._labels.model(*key)
        place = Place(
            provider,
            model,
            self._at(catalogue.ATTEMPTS, provider, model, AttemptOutcome.OK.value, ""),
            self._at(catalogue.ATTEMPT_DURATION, provider, model),
            self._at(catalogue.FIRST_TOKEN, provider, model),
        )
        if len(self._places) < KEPT_MAX:
            self._places[key] = place
        return place

    def _rotation(self, event: AttemptFinished) -> None:
        before = self._failed.pop(event.request_id, None)
        if before is not None and before.failure is not None:
            same_target = (before.provider, before.model) == (event.provider, event.model)
            if same_target and before.credential != event.credential:
                provider = self._labels.provider(event.provider)
                self._at(catalogue.ROTATIONS, provider, before.failure).inc()
        if event.outcome is AttemptOutcome.FAILED:
            if len(self._failed) >= OPEN_REQUESTS_MAX:
                del self._failed[next(iter(self._failed))]
            self._failed[event.request_id] = event

    def _switch(self, event: Switched) -> None:
        route = self._labels.route(event.route)
        origin = self._labels.hop(route, event.from_target)
        to = self._labels.hop(route, event.to_target)
        reason = OPERATOR
        if event.switch is not SwitchKind.OPERATOR:
            reason = _among(SWITCH_REASONS[event.switch], event.reason)
        self._at(catalogue.SWITCHES, route, origin, to, event.switch, reason).inc()
        if event.reversal:
            self._at(catalogue.REVERSALS, route).inc()
        if (route,) in self._board.families[catalogue.ROUTE_LAST_SWITCH]:
            self._at(catalogue.DWELL, route).observe(event.dwell_seconds)
            self._at(catalogue.ROUTE_LAST_SWITCH, route).set(event.ts / MICROS)

    def _cooldown(self, event: CooldownStarted) -> None:
        provider = self._labels.provider(event.provider)
        reason = _among(COOLDOWN_REASONS, event.reason)
        self._at(catalogue.COOLDOWNS, provider, event.scope, reason, event.source).inc()
        if event.relapse:
            place = self._labels.place(event.scope, provider, event.model)
            self._at(catalogue.RELAPSES, place).inc()

    def _session(self, event: SessionMoved) -> None:
        kind = _among(catalogue.SESSION_MOVE_KINDS, event.move)
        route = self._labels.route(event.route)
        self._at(catalogue.SESSION_MOVES, route, kind).inc()
        self._at(catalogue.CACHE_LOST, route, kind).inc(event.cached_tokens)

    def _config(self, event: ConfigReloaded | ConfigRejected) -> None:
        self._at(catalogue.CONFIG_STALE).set(isinstance(event, ConfigRejected))

    def _version(self, version: str) -> None:
        self._board.remove(catalogue.CONFIG_INFO, (self._config_version,))
        self._config_version = version
        self._at(catalogue.CONFIG_INFO, version).set(1)

    # -- what is -------------------------------------------------------------------------------

    def _state(self, snapshot: Snapshot) -> None:
        for route in snapshot.routes:
            usable = [target for target in route.targets if target.state in USABLE]
            ready = sum(target.credentials_ready for target in usable)
            self._at(catalogue.ROUTE_CANDIDATES, route.route).set(ready)
            configured = sum(target.credentials for target in route.targets)
            self._at(catalogue.ROUTE_CONFIGURED, route.route).set(configured)
            self._at(catalogue.FLAPPING, route.route).set(route.flapping)
            self._at(catalogue.QUEUE_WAITERS, route.route).set(route.waiting)
            for position, target in enumerate(route.targets):
                place = (route.route, target.target)
                self._at(catalogue.ROUTE_POSITION, *place).set(position)
                self._at(catalogue.ROUTE_ACTIVE, *place).set(target.active)
                self._at(catalogue.TARGET_STATE, *place).set(STATE_CODES[target.state])
                self._at(catalogue.FLAP_PENALTY, *place).set(target.penalty)
                self._at(catalogue.FLAP_SUPPRESS_AT, *place).set(target.suppress_at)
                self._at(catalogue.FLAP_REUSE_AT, *place).set(target.reuse_at)
        for provider in snapshot.providers:
            for credential in provider.credentials:
                self._credential((provider.provider, credential.credential), credential)
        ends = dict.fromkeys(self._board.families[catalogue.COOLDOWN_UNTIL], 0.0)
        for rest in snapshot.rests:
            where = self._labels.place(rest.scope, rest.provider, rest.model)
            key = (self._labels.provider(rest.provider), where, rest.scope.value)
            ends[key] = max(ends.get(key, 0.0), rest.until / MICROS)
        for values, until in ends.items():
            self._at(catalogue.COOLDOWN_UNTIL, *values).set(until)

    def _credential(self, key: Values, view: CredentialView) -> None:
        parked = view.state is State.COOLING and view.reason == Failure.AUTH
        code = catalogue.PARKED if parked else STATE_CODES[view.state]
        self._at(catalogue.CREDENTIAL_STATE, *key).set(code)
        until = 0.0 if view.until is None else view.until / MICROS
        self._at(catalogue.CREDENTIAL_READY, *key).set(until)
        self._at(catalogue.CREDENTIAL_MODELS, *key).set(view.models_resting)
        self._at(catalogue.CREDENTIAL_IN_FLIGHT, *key).set(view.in_flight)

    def _sinks(self, stats: Mapping[str, SinkStats]) -> None:
        for name, sink in stats.items():
            self._raise_to(catalogue.SINK_FAILURES, name, total=sink.failures)
            self._raise_to(catalogue.SINK_DROPPED, name, total=sink.dropped)
        store = stats.get(STORAGE)
        if store is not None:
            self._raise_to(catalogue.EVENTS_WRITTEN, total=store.written)
            self._raise_to(catalogue.EVENTS_DROPPED, total=store.dropped)
            self._at(catalogue.QUEUE_BYTES).set(store.queued_bytes)
            self._at(catalogue.JOURNAL_BYTES).set(store.journal_bytes)
            self._raise_to(catalogue.UNSAFE_ANSWERS, total=store.unsafe)

    def _raise_to(self, metric: Metric, *values: str, total: int) -> None:
        """A counter that somebody else counts."""
        key = (metric, values)
        self._at(metric, *values).inc(total - self._totals.get(key, 0))
        self._totals[key] = total


def _exemplar(event: RequestFinished | AttemptFinished, value: float) -> Exemplar:
    return Exemplar(
        {"trace_id": event.trace_id, "span_id": event.span_id}, value, event.ts / MICROS
    )


def _among(known: frozenset[Any] | Sequence[str], value: str) -> str:
    return value if value in known else OTHER
