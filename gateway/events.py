"""The vocabulary: one frozen struct per fact, and the closed sets they use.

Rows, metrics, spans, log lines and the console are all views of these objects. The string values
of the enums are what is stored and what labels a series: once released they do not change.
No event ever holds a prompt, an answer or a secret.

`gc=False`: an event holds plain values only and is never part of a cycle, so that the collector need
not look at it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, TypeAlias

from msgspec import Struct

from gateway.units import AttemptId, RequestId, Timestamp


class Failure(StrEnum):
    """The class of a bad outcome; what follows from each is the table in `routing/policy.py`."""

    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    AUTH = "auth"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    CONNECT = "connect"
    RESET_BEFORE_CONTENT = "reset_before_content"
    FIRST_CONTENT_TIMEOUT = "first_content_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    BAD_SUCCESS = "bad_success"
    STREAM_BROKEN = "stream_broken"
    MODEL_NOT_FOUND = "model_not_found"
    UNSUPPORTED = "unsupported"
    BAD_REQUEST = "bad_request"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTENT_POLICY = "content_policy"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    UNKNOWN = "unknown"


class AttemptOutcome(StrEnum):
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class RequestOutcome(StrEnum):
    OK = "ok"
    CLIENT_ERROR = "client_error"
    """The request itself was at fault: malformed, too long, unknown model, wrong key."""
    UPSTREAM_ERROR = "upstream_error"
    """An answer had begun and broke, or the only answer was an upstream's error."""
    EXHAUSTED = "exhausted"
    """No candidate could take it."""
    SHED = "shed"
    """Refused by the gateway's own limits before any candidate was looked at."""
    CANCELLED = "cancelled"


class Scope(StrEnum):
    """The smallest thing that has to rest."""

    CREDENTIAL_MODEL = "credential_model"
    QUOTA_GROUP = "quota_group"
    CREDENTIAL = "credential"
    TARGET = "target"
    PROVIDER = "provider"


class CooldownSource(StrEnum):
    """Where a duration came from."""

    STATED = "stated"
    """The provider said when."""
    LADDER = "ladder"
    """Our own guess, growing with each relapse."""
    OPERATOR = "operator"
    HOLD = "hold"
    """The fallback cooldown of a target on one route; it reorders and never removes."""


class CooldownEnd(StrEnum):
    EXPIRED = "expired"
    PROBE = "probe"
    OPERATOR = "operator"
    SUPERSEDED = "superseded"


class SwitchKind(StrEnum):
    FORCED = "forced"
    RETURN = "return"
    OPERATOR = "operator"


class StreamEnd(StrEnum):
    """How an answer ended whose content had begun."""

    COMPLETE = "complete"
    BROKEN = "broken"
    CLIENT_GONE = "client_gone"


class SkipReason(StrEnum):
    """Why a candidate was not tried."""

    COOLING = "cooling"
    """Its target, credential, credential × model or provider rests."""
    HELD = "held"
    """Its fallback cooldown on this route runs; it stands behind the unheld targets."""
    SUPPRESSED = "suppressed"
    """Its route is flapping and damping keeps it behind."""
    PROBING = "probing"
    """It is being tested by another request."""
    AT_CAPACITY = "at_capacity"
    """Its in-flight cap is reached."""
    ALREADY_TRIED = "already_tried"
    SAME_FAULT = "same_fault"
    """Another credential of this target already showed that this one cannot help."""
    NOT_PREFERRED = "not_preferred"
    """Usable, but the pointer, the session's home or an operator's pin chose another."""
    DRAINED = "drained"
    DISABLED = "disabled"
    DIALECT = "dialect"
    """It does not speak the client's dialect, and nothing translates between the two."""
    CONTEXT_SIZE = "context_size"
    BILLING_CLASS = "billing_class"
    MODEL_UNSUPPORTED = "model_unsupported"
    ATTEMPTS_SPENT = "attempts_spent"
    RETRY_BUDGET = "retry_budget"


class Usage(Struct, frozen=True, kw_only=True, gc=False):
    """Tokens as the provider counted them; None where it did not say."""

    input_tokens: int | None = None
    """All input tokens, those read from a cache or written to one included."""
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    """All output tokens, reasoning included."""
    reasoning_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    """Of those written to a cache: for an hour, which costs more. This and the tier are for the
    price only, and are not stored."""
    service_tier: str = ""


TOKENS = (
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)
"""The counts of `Usage` that rows, log lines and metrics show."""


class RequestFinished(Struct, frozen=True, gc=False):
    kind: ClassVar[str] = "request_finished"
    ts: Timestamp
    request_id: RequestId
    trace_id: str
    span_id: str
    parent_span_id: str
    """Of the caller's `traceparent`; empty where it sent none."""
    route: str
    """The route's name, `direct` for `provider/model` requests, empty if none was found."""
    session: str
    client: str
    """Name of the client key; empty where none is configured."""
    endpoint: str
    """Path of the contract, such as `/v1/messages`."""
    requested_model: str
    """As the client wrote it, cut to 200 characters. Never a metric label."""
    stream: bool
    outcome: RequestOutcome
    status: int
    """HTTP status the client saw; 499 where it had gone away before any."""
    failure: Failure | None
    """The first real failure, also of a request that was rescued."""
    reason: str
    provider: str
    model: str
    credential: str
    attempts: int
    skipped: int
    fallback_from: str
    """Target that should have served; empty if none was passed over by a failure."""
    fallback_reason: str
    started: Timestamp
    duration_seconds: float
    first_content_seconds: float | None
    overhead_seconds: float
    """From the request's headers to the first upstream call, waits excluded."""
    bytes_received: int
    bytes_sent: int
    usage: Usage | None
    cost_usd: float | None
    billing: str = ""
    """Billing class of who served."""
    lost_seconds: float | None = None
    """From the start of the first attempt to that of the one that served; None if nobody did."""
    waited_seconds: float = 0.0
    """What of its time it waited for a candidate."""
    stream_end: StreamEnd | None = None
    """None where no content had begun."""
    client_retries: int = 0
    """How often its SDK had asked already, where it says so."""
    body_tokens: int = 0
    """The prompt's size, estimated."""
    first_turn: bool = False
    reasoning: bool = False
    no_fallback: bool = False
    deadline_seconds: float | None = None
    """How long the client itself would have waited for content, where it says so."""
    conversation: str = ""
    """Without a session: hashes of how the conversation begins, without and with the first answer."""
    continued: str = ""


class AttemptFinished(Struct, frozen=True, gc=False):
    kind: ClassVar[str] = "attempt_finished"
    ts: Timestamp
    request_id: RequestId
    attempt_id: AttemptId
    trace_id: str
    span_id: str
    n: int
    """Place in the request's list of candidates, skipped ones counted, from 1."""
    route: str
    provider: str
    model: str
    credential: str
    session: str
    outcome: AttemptOutcome
    failure: Failure | None
    reason: str
    """The provider's own code or our sub-reason, redacted and cut to 200 characters."""
    status: int | None
    """Upstream's HTTP status; None where there was none."""
    scope: Scope | None
    """What the failure blames; None if nobody."""
    stated_seconds: float | None
    """The rest the provider stated."""
    probe: bool
    started: Timestamp
    duration_seconds: float
    first_content_seconds: float | None
    bytes_sent: int
    """Bytes of this attempt that reached the client."""
    upstream_request_id: str
    usage: Usage | None
    cost_usd: float | None
    billing: str = ""
    """Billing class of the provider."""
    changes: str = ""
    """What the request was changed in for this target, such as `translated:openai->anthropic adapted:thinking`."""
    excerpt: str = ""
    """Of a failure of no known class: the provider's words, redacted and cut to 300 characters."""
    quota_remaining: float | None = None
    """The smallest share (0 to 1) that its headers say is left of a limit; None if they do not."""


class CandidateSkipped(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "candidate_skipped"
    ts: Timestamp
    request_id: RequestId
    trace_id: str
    n: int
    route: str
    provider: str
    model: str
    credential: str
    """Empty where the whole target was passed over."""
    session: str
    reason: SkipReason
    cause: str
    """Of a rest: what caused it (a failure's name, `hold`, `operator`)."""
    until: Timestamp | None


class Switched(Struct, frozen=True, kw_only=True, gc=False):
    """The target that serves a route has changed."""

    kind: ClassVar[str] = "switched"
    ts: Timestamp
    request_id: RequestId
    """The request at which it happened; empty for an operator's switch."""
    trace_id: str
    route: str
    from_target: str
    to_target: str
    switch: SwitchKind
    reason: str
    """A failure's name, `pool_wide`, `recovered`, `pin`, `reset`, `operator`, …"""
    dwell_seconds: float
    hold_seconds: float
    penalty: float
    reversal: bool
    """It undoes the switch before it."""


class CooldownStarted(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "cooldown_started"
    ts: Timestamp
    cooldown_id: str
    scope: Scope
    route: str
    """Only for a hold; else empty."""
    provider: str
    model: str
    """Empty at scopes `credential` and `provider`; the group's name at `quota_group`."""
    credential: str
    reason: str
    source: CooldownSource
    until: Timestamp
    duration_seconds: float
    level: int
    """n of the ladder; 0 where there is none."""
    trigger_attempt_id: str
    request_id: str
    relapse: bool
    """Its predecessor on the same place ended less than its own duration ago."""
    actor: str = ""
    note: str = ""


class CooldownExtended(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "cooldown_extended"
    ts: Timestamp
    cooldown_id: str
    scope: Scope
    route: str
    provider: str
    model: str
    credential: str
    reason: str
    source: CooldownSource
    until: Timestamp
    duration_seconds: float
    """From its start to the new end."""
    level: int
    trigger_attempt_id: str
    request_id: str


class CooldownEnded(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "cooldown_ended"
    ts: Timestamp
    cooldown_id: str
    scope: Scope
    route: str
    provider: str
    model: str
    credential: str
    reason: str
    source: CooldownSource
    ended: CooldownEnd
    ended_at: Timestamp
    duration_seconds: float
    actor: str = ""
    note: str = ""


class FlappingStarted(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "flapping_started"
    ts: Timestamp
    route: str
    target: str
    penalty: float
    until: Timestamp
    """The latest moment at which it ends."""


class FlappingEnded(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "flapping_ended"
    ts: Timestamp
    route: str
    target: str
    penalty: float
    duration_seconds: float


class SessionMoved(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "session_moved"
    ts: Timestamp
    request_id: RequestId
    route: str
    session: str
    from_target: str
    to_target: str
    from_credential: str
    to_credential: str
    """The target may be the same: then only the key has changed."""
    move: str
    """`detour`, `rebind` (home changed) or `rehome` (back home)."""
    reason: str
    cached_tokens: int = 0
    """What its last answer had read from the cache it leaves behind."""


class HistoryAdapted(Struct, frozen=True, kw_only=True, gc=False):
    """A provider refused what another one had left in the conversation, and gets it once more
    without that."""

    kind: ClassVar[str] = "history_adapted"
    ts: Timestamp
    request_id: RequestId
    attempt_id: AttemptId
    """The attempt with the adapted history; the one before it was refused."""
    trace_id: str
    route: str
    provider: str
    model: str
    credential: str
    session: str
    adapted: tuple[str, ...]
    """Of `thinking`, `tool_ids`, `thought_signature`."""
    reason: str
    """The provider's code for its refusal."""


class PoolWideFailure(Struct, frozen=True, kw_only=True, gc=False):
    """Several credentials of one provider failed alike: one cause, not many."""

    kind: ClassVar[str] = "pool_wide_failure"
    ts: Timestamp
    request_id: str
    provider: str
    failure: Failure
    credentials: int


class LocalNetwork(Struct, frozen=True, kw_only=True, gc=False):
    """Every provider fails at connect: the trouble is on this side."""

    kind: ClassVar[str] = "local_network"
    ts: Timestamp
    request_id: str
    providers: int


class OperatorActed(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "operator_acted"
    ts: Timestamp
    actor: str
    action: str
    route: str
    target: str
    provider: str
    credential: str
    note: str
    until: Timestamp | None


class ConfigReloaded(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "config_reloaded"
    ts: Timestamp
    version: str
    changes: tuple[str, ...]
    """Dotted paths that differ; no values."""


class ConfigRejected(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "config_rejected"
    ts: Timestamp
    problems: tuple[str, ...]


class ProcessStarted(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "process_started"
    ts: Timestamp
    version: str
    python: str
    sqlite: str


class ProcessStopped(Struct, frozen=True, kw_only=True, gc=False):
    kind: ClassVar[str] = "process_stopped"
    ts: Timestamp
    reason: str


class DataGap(Struct, frozen=True, kw_only=True, gc=False):
    """Events that no store could take."""

    kind: ClassVar[str] = "data_gap"
    ts: Timestamp
    sink: str
    dropped: int
    since: Timestamp


Event: TypeAlias = (
    RequestFinished
    | AttemptFinished
    | CandidateSkipped
    | Switched
    | CooldownStarted
    | CooldownExtended
    | CooldownEnded
    | FlappingStarted
    | FlappingEnded
    | SessionMoved
    | HistoryAdapted
    | PoolWideFailure
    | LocalNetwork
    | OperatorActed
    | ConfigReloaded
    | ConfigRejected
    | ProcessStarted
    | ProcessStopped
    | DataGap
)


class Stamped(Struct, frozen=True, gc=False):
    """An event as the spine hands it out: numbered without gaps within one boot."""

    seq: int
    boot_id: str
    config_version: str
    event: Event
