"""Every metric as data: the one file to change or look names up in.

Counting is `metrics`' work, which label values exist is `labels`'. Names and labels are public:
once released they only grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

UNITS: Final = frozenset({"seconds", "bytes", "tokens", "usd"})


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Metric:
    """Compared by identity: each is made once, here, and is a key of the busiest tables."""

    name: str
    """The whole name, `_total` of a counter included."""
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, without the infinite one."""
    empty_because: str = ""
    """Why the series may be missing in a healthy gateway; empty: they always exist."""

    @property
    def unit(self) -> str:
        """By Prometheus' convention the end of the name says it; empty: a plain number."""
        words = self.name.removesuffix("_total").split("_")
        return next((each for each in reversed(words) if each in UNITS), "")


DURATION_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Answers of agents take from a second to ten minutes."""
FIRST_CONTENT_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
DWELL_BUCKETS: Final = (60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0)
"""A route that stays for less than a prompt cache's five minutes pays for every switch."""
OVERHEAD_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Ours is a millisecond or so; the rest shows a machine that is too busy."""


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, help=text, labels=labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, help=text, labels=labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.HISTOGRAM, help=text, labels=labels, buckets=buckets)


# -- requests ------------------------------------------------------------------------------------

REQUESTS: Final = _counter(
    "evenkeel_requests_total", "Requests of clients, once they are over.", "route", "outcome"
)
REQUEST_DURATION: Final = _histogram(
    "evenkeel_request_duration_seconds",
    "From a request's headers to the last byte of its answer.",
    DURATION_BUCKETS,
    "route",
    "stream",
)
OVERHEAD: Final = _histogram(
    "evenkeel_overhead_seconds",
    "Time the gateway itself took, waits excluded.",
    OVERHEAD_BUCKETS,
    "phase",
)
RESCUES: Final = _counter(
    "evenkeel_rescues_total",
    "Requests that succeeded after at least one failed attempt.",
    "route",
)
FALLBACKS: Final = _counter(
    "evenkeel_fallbacks_total",
    "Requests served by another target than the one that should have.",
    "route",
    "from",
    "to",
    "reason",
)

# -- attempts ------------------------------------------------------------------------------------

ATTEMPTS: Final = _counter(
    "evenkeel_attempts_total",
    "Calls of an upstream; candidates that were skipped are not counted.",
    "provider",
    "model",
    "outcome",
    "failure",
)
ATTEMPT_DURATION: Final = _histogram(
    "evenkeel_attempt_duration_seconds",
    "From the start of an upstream call to its end, however it ended.",
    DURATION_BUCKETS,
    "provider",
    "model",
)
FIRST_TOKEN: Final = _histogram(
    "evenkeel_time_to_first_token_seconds",
    "From the start of an upstream call to its first content.",
    FIRST_CONTENT_BUCKETS,
    "provider",
    "model",
)
ROTATIONS: Final = _counter(
    "evenkeel_rotations_total",
    "Failed attempts followed by one on another credential of the same target.",
    "provider",
    "reason",
)
PROBES: Final = _counter(
    "evenkeel_probes_total",
    "Attempts that tested whether a rest is over.",
    "route",
    "target",
    "result",
)
TOKENS: Final = _counter(
    "evenkeel_tokens_total", "Tokens as providers counted them.", "provider", "model", "kind"
)
COST: Final = _counter(
    "evenkeel_cost_usd_total", "Cost of attempts, where a price is known.", "provider", "model"
)
FALLBACK_COST: Final = _counter(
    "evenkeel_fallback_cost_usd_total",
    "Cost of requests that another target served than the one that should have.",
    "route",
)
PROVIDER_INFO: Final = _gauge(
    "evenkeel_provider_info",
    "1 for each provider, to join its billing class and dialect to its other series.",
    "provider",
    "billing",
    "dialect",
)

# -- routes --------------------------------------------------------------------------------------

SWITCHES: Final = _counter(
    "evenkeel_switches_total",
    "Changes of the target that serves a route.",
    "route",
    "from",
    "to",
    "kind",
    "reason",
)
REVERSALS: Final = _counter(
    "evenkeel_reversals_total", "Switches that undid the switch before them.", "route"
)
SESSION_MOVES: Final = _counter(
    "evenkeel_session_moves_total", "Sessions that moved to another target.", "route", "kind"
)
CACHE_LOST: Final = _counter(
    "evenkeel_cache_lost_tokens_total",
    "Cached input tokens that sessions left behind when they moved.",
    "route",
    "kind",
)
DWELL: Final = _histogram(
    "evenkeel_dwell_seconds",
    "How long a target had served its route when the route left it.",
    DWELL_BUCKETS,
    "route",
)
ROUTE_ACTIVE: Final = _gauge(
    "evenkeel_route_active", "1 for the target that serves the route now.", "route", "target"
)
TARGET_STATE: Final = _gauge(
    "evenkeel_target_state",
    "State of a target on a route: 0 ready, 1 held, 2 cooling, 3 disabled, 4 suppressed, "
    "5 on trial, 6 probing, 7 drained.",
    "route",
    "target",
)
ROUTE_CANDIDATES: Final = _gauge(
    "evenkeel_route_candidates",
    "Credentials of the route's targets that could be tried now.",
    "route",
)
ROUTE_CONFIGURED: Final = _gauge(
    "evenkeel_route_candidates_configured",
    "Credentials of the route's targets, whatever their state.",
    "route",
)
ROUTE_POSITION: Final = _gauge(
    "evenkeel_route_position",
    "Place of a target in the route's configured order; the first one is 0.",
    "route",
    "target",
)
ROUTE_LAST_SWITCH: Final = _gauge(
    "evenkeel_route_last_switch_timestamp_seconds",
    "When the route last switched; 0 if it has not since the start.",
    "route",
)
FLAP_PENALTY: Final = _gauge(
    "evenkeel_flap_penalty", "Damping penalty of a target on a route.", "route", "target"
)
FLAP_SUPPRESS_AT: Final = _gauge(
    "evenkeel_flap_suppress_at",
    "Penalty from which a target is suppressed.",
    "route",
    "target",
)
FLAP_REUSE_AT: Final = _gauge(
    "evenkeel_flap_reuse_at",
    "Penalty below which a suppressed target is used again.",
    "route",
    "target",
)
FLAPPING: Final = _gauge("evenkeel_flapping", "1 while the route is flapping.", "route")
QUEUE_WAITERS: Final = _gauge(
    "evenkeel_queue_waiters", "Requests that wait for a candidate.", "route"
)

# -- cooldowns -----------------------------------------------------------------------------------

COOLDOWNS: Final = _counter(
    "evenkeel_cooldowns_total",
    "Cooldowns that started.",
    "provider",
    "scope",
    "reason",
    "source",
)
COOLDOWN_UNTIL: Final = _gauge(
    "evenkeel_cooldown_until_timestamp_seconds",
    "Latest end of the cooldowns that run there; 0 if none does.",
    "provider",
    "target",
    "scope",
)
RELAPSES: Final = _counter(
    "evenkeel_relapses_total",
    "Cooldowns that started soon after the one before them in the same place.",
    "target",
)

# -- credentials ---------------------------------------------------------------------------------

CREDENTIAL_STATE: Final = _gauge(
    "evenkeel_credential_state",
    "State of a credential: 0 ready, 2 cooling, 5 on trial, 8 parked because it was refused.",
    "provider",
    "credential",
)
CREDENTIAL_READY: Final = _gauge(
    "evenkeel_credential_ready_timestamp_seconds",
    "When the rest of the whole credential ends; 0 if it does not rest.",
    "provider",
    "credential",
)
CREDENTIAL_MODELS: Final = _gauge(
    "evenkeel_credential_models_resting",
    "Models and quota groups that rest for this credential alone.",
    "provider",
    "credential",
)
QUOTA_REMAINING: Final = Metric(
    name="evenkeel_credential_quota_remaining",
    kind=Kind.GAUGE,
    help="The smallest share of a limit that the provider last said is left, 0 to 1.",
    labels=("provider", "credential"),
    empty_because="only some providers say what is left of a limit",
)
CREDENTIAL_IN_FLIGHT: Final = _gauge(
    "evenkeel_credential_in_flight",
    "Attempts under way on a credential.",
    "provider",
    "credential",
)

# -- the gateway itself --------------------------------------------------------------------------

EVENTS_WRITTEN: Final = _counter(
    "evenkeel_events_written_total", "Events that the store has taken."
)
EVENTS_DROPPED: Final = _counter(
    "evenkeel_events_dropped_total", "Events that the store will never have."
)
QUEUE_BYTES: Final = _gauge(
    "evenkeel_event_queue_bytes", "Memory of the events that wait for the store."
)
JOURNAL_BYTES: Final = _gauge(
    "evenkeel_journal_bytes", "Size of the events that wait in the rescue file."
)
SINK_FAILURES: Final = _counter(
    "evenkeel_sink_failures_total", "Batches that a sink did not take at once.", "sink"
)
SINK_DROPPED: Final = _counter(
    "evenkeel_sink_dropped_total", "Events that a sink will never be told.", "sink"
)
UNSAFE_ANSWERS: Final = _counter(
    "evenkeel_unsafe_answers_total",
    "Answers that were ended though `durability: strict` could not make their rows safe in time.",
)
STORE_BYTES: Final = _gauge("evenkeel_store_bytes", "Size of the database.")
STORE_OLDEST: Final = Metric(
    name="evenkeel_store_oldest_timestamp_seconds",
    kind=Kind.GAUGE,
    help="When the oldest row of a table happened.",
    labels=("table",),
    empty_because="a table may have no row yet",
)
SPANS_DROPPED: Final = _counter(
    "evenkeel_spans_dropped_total", "Spans that made room for newer ones: no collector took them."
)
LOOP_LAG: Final = _gauge(
    "evenkeel_event_loop_lag_seconds", "Worst delay of the event loop in the last seconds."
)
SCRAPE_SECONDS: Final = _gauge(
    "evenkeel_scrape_seconds", "Time that making the text of the scrape before this one took."
)
CONFIG_INFO: Final = _gauge("evenkeel_config_info", "1 for the configuration in use.", "version")
CONFIG_STALE: Final = _gauge(
    "evenkeel_config_stale", "1 if the configuration last read was rejected."
)
BUILD_INFO: Final = _gauge("evenkeel_build_info", "1 for the running version.", "version")

METRICS: Final[tuple[Metric, ...]] = tuple(
    each for each in tuple(globals().values()) if isinstance(each, Metric)
)
"""All of the above, in their order."""

# -- closed sets of label values that no enum of the events has ----------------------------------

OTHER: Final = "other"
"""Stands for whatever no configuration names."""
ANY: Final = "*"
"""As `provider/*`: a target of which only the provider is told."""
PHASES: Final = ("before_upstream",)
"""From a request's headers to its first upstream call."""
STREAM: Final = {False: "false", True: "true"}
TOKEN_KINDS: Final = {
    "input_tokens": "input",
    "cached_tokens": "cached",
    "cache_write_tokens": "cache_write",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
}
"""Field of `Usage` → label. Cached ones are also input, reasoning ones also output."""
PARKED: Final = 8
"""Of `evenkeel_credential_state`; its other codes are those of `evenkeel_target_state`."""
SESSION_MOVE_KINDS: Final = ("detour", "rebind", "rehome")
RETURN_REASONS: Final = ("recovered",)
