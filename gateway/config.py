"""The configuration as frozen dataclasses: names, defaults, meaning.

Reading and validating it is `config_file`'s work; everything here is data. Durations are seconds.
The string under a field is its documentation; `docs/configuration.md` must name every one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, ClassVar

from gateway.events import Failure, Scope
from gateway.units import Secret

EMPTY: Mapping[str, Any] = MappingProxyType({})
STRICT: Any = {"extra": "forbid"}
"""What pydantic reads from `__pydantic_config__`; a plain dictionary, so nothing is imported."""

NO_SECRET = Secret("")


class Dialect(StrEnum):
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    CODE_ASSIST = "code_assist"
    LITELLM = "litellm"
    SIMULATED = "simulated"


class Rotation(StrEnum):
    SEQUENTIAL = "sequential"
    BALANCED = "balanced"
    LEAST_IN_FLIGHT = "least_in_flight"


class Billing(StrEnum):
    FREE = "free"
    FLAT = "flat"
    METERED = "metered"


class ReturnPolicy(StrEnum):
    AUTO = "auto"
    SESSION_END = "session_end"
    MANUAL = "manual"


class Damping(StrEnum):
    ENFORCE = "enforce"
    OBSERVE = "observe"
    OFF = "off"


class Durability(StrEnum):
    BATCHED = "batched"
    STRICT = "strict"


class Responses(StrEnum):
    """Whether a provider of the OpenAI dialect serves `/responses` itself."""

    AUTO = "auto"
    NATIVE = "native"
    CHAT = "chat"


class HttpClient(StrEnum):
    """Who makes the connections to a provider."""

    OWN = "own"
    AIOHTTP = "aiohttp"
    """Slower, and used to more kinds of servers."""


class HttpServer(StrEnum):
    """Who answers clients on the inference routes; all else is aiohttp's in any case."""

    OWN = "own"
    AIOHTTP = "aiohttp"
    """Slower, and older."""


class GenAIConventions(StrEnum):
    """Whose names spans use for what is about models."""

    RELEASED = "1.41"
    DEVELOPMENT = "development"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    __pydantic_config__: ClassVar[Any] = STRICT
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    max_body_bytes: int = 32 * 1024 * 1024
    drain_seconds: float = 30.0
    http_server: HttpServer = HttpServer.OWN
    keep_alive_seconds: float = 15.0
    """The longest silence on a stream that has begun, before a frame without meaning; 0 = never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One key that people or programs call the gateway with."""

    __pydantic_config__: ClassVar[Any] = STRICT
    name: str
    key: Secret
    routes: tuple[str, ...] = ("*",)
    """Globs over route names and `provider/model` names."""
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    __pydantic_config__: ClassVar[Any] = STRICT
    clients: tuple[Client, ...] = ()
    admin_key: Secret = NO_SECRET


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth:
    """An account of the operator's own, of the dialect `code_assist`; nothing of it has a default."""

    __pydantic_config__: ClassVar[Any] = STRICT
    client_id: str = ""
    client_secret: Secret = NO_SECRET
    refresh_token: Secret = NO_SECRET
    token_file: str = ""
    """Instead of `refresh_token`: where it stands, and where a new one is written."""
    token_url: str = ""
    project: str = ""
    """Empty: asked of the provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteLLM:
    """What litellm needs to know of a provider besides address and key, by litellm's own names."""

    __pydantic_config__: ClassVar[Any] = STRICT
    api_version: str = ""
    """Azure's."""
    organization: str = ""
    aws_region_name: str = ""
    aws_access_key_id: Secret = NO_SECRET
    aws_secret_access_key: Secret = NO_SECRET
    aws_session_token: Secret = NO_SECRET
    aws_role_name: str = ""
    aws_profile_name: str = ""
    aws_bedrock_runtime_endpoint: str = ""
    vertex_project: str = ""
    vertex_location: str = ""
    vertex_credentials: Secret = NO_SECRET
    """A service account's JSON, or the path of its file."""
    drop_params: bool = True
    """Leave out what the vendor does not know; else such a request is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    __pydantic_config__: ClassVar[Any] = STRICT
    name: str
    key: Secret
    oauth: OAuth = OAuth()
    priority: int = 1
    """Tier; 1 is used first."""
    max_in_flight: int | None = None
    cache_domain: str = ""
    """Credentials of one organisation share a prompt cache: give them the same word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRules:
    __pydantic_config__: ClassVar[Any] = STRICT
    allow: tuple[str, ...] = ()
    """Globs; wins over `ignore`."""
    ignore: tuple[str, ...] = ()
    list: tuple[str, ...] = ()
    """All models of the provider; replaces discovery."""

    def permits(self, model: str) -> bool:
        """Whether the provider may be asked for `model`.

        `allow`, where given, is the whole truth; else `ignore` takes away from what `list` names,
        or from everything where there is no `list`.
        """
        if self.allow:
            return any(fnmatchcase(model, glob) for glob in self.allow)
        if any(fnmatchcase(model, glob) for glob in self.ignore):
            return False
        return not self.list or model in self.list


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Four clocks of one attempt; a clock that runs out ends the attempt, not the request."""

    __pydantic_config__: ClassVar[Any] = STRICT
    connect_seconds: float = 5.0
    headers_seconds: float = 30.0
    first_content_seconds: float = 30.0
    idle_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRule:
    """An operator's own classification, tried before all built-in ones."""

    __pydantic_config__: ClassVar[Any] = STRICT
    failure: Failure
    status: int | None = None
    code: str = ""
    """One of the provider's own codes in the body, whatever its case."""
    header: str = ""
    """Name of a header, or `name: text` that its value contains."""
    body: str = ""
    """Text that the body contains, whatever its case."""
    scope: Scope | None = None
    """What such a failure lets rest; None = what its class says."""
    rest_seconds: float | None = None
    """How long, instead of what the provider states; None = as without the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs in US dollars for a million tokens, by the operator's word."""

    __pydantic_config__: ClassVar[Any] = STRICT
    input_per_million: float
    output_per_million: float = 0.0
    cached_per_million: float | None = None
    """Of input that was read from a cache; None = as other input."""
    cache_write_per_million: float | None = None
    """Of input that was written to a cache; None = as other input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """One spell of a simulated provider's weather."""

    __pydantic_config__: ClassVar[Any] = STRICT
    for_seconds: float = 0.0
    """0 = for ever."""
    failure: Failure | None = None
    """None = fair weather."""
    probability: float = 1.0
    every: int = 1
    """Fail every n-th request only: 2 alternates."""
    retry_after_seconds: float | None = None
    first_token_seconds: float | None = None
    """Instead of the provider's own."""
    tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """The script of a provider that lives inside the process."""

    __pydantic_config__: ClassVar[Any] = STRICT
    seed: int = 1
    first_token_seconds: float = 0.2
    tokens_per_second: float = 80.0
    answer_tokens: int = 40
    requests_per_minute: int | None = None
    """Per credential; beyond it 429 with `Retry-After`."""
    dead_credentials: tuple[str, ...] = ()
    """Names of credentials that answer 401."""
    weather: tuple[Weather, ...] = ()
    """Spells in turn, from the first again when all are over; empty = always fair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """The parameters of docs/stability.md; these defaults are the preset `agentic`."""

    __pydantic_config__: ClassVar[Any] = STRICT
    preset: str = "agentic"
    damping: Damping = Damping.ENFORCE

    rate_limited_base_seconds: float = 15.0
    rate_limited_cap_seconds: float = 300.0
    quota_exhausted_base_seconds: float = 900.0
    quota_exhausted_cap_seconds: float = 21_600.0
    auth_base_seconds: float = 300.0
    auth_cap_seconds: float = 86_400.0
    recheck_seconds: float = 900.0
    """A stated rest longer than this is re-checked by one request this often."""
    ladder_decay_seconds: float = 600.0
    """Clean seconds that take one step off a ladder."""
    stated_min_seconds: float = 0.5
    stated_max_seconds: float = 93_600.0

    guard_credentials: int = 3
    guard_window_seconds: float = 10.0

    breaker_failures: int = 3
    breaker_min_outcomes: int = 6
    breaker_window_seconds: float = 120.0
    breaker_ratio: float = 0.5
    breaker_base_seconds: float = 30.0
    breaker_cap_seconds: float = 300.0

    long_unavailable_seconds: float = 60.0
    cooldown_min_seconds: float = 300.0
    cooldown_multiplier: float = 1.5

    penalty_departure: float = 1000.0
    penalty_probe: float = 250.0
    half_life_seconds: float = 1800.0
    suppress_at: float = 2200.0
    reuse_at: float = 800.0
    suppress_max_seconds: float = 7200.0

    probe_gap_seconds: float = 15.0
    probe_gap_max_seconds: float = 300.0
    probe_starvation_seconds: float = 300.0
    """Without a fitting request for so long any request may probe; fourfold with each setback."""
    probe_starvation_max_seconds: float = 7200.0
    probe_first_content_seconds: float = 10.0
    return_good_answers: int = 5
    return_good_seconds: float = 60.0
    return_good_max_seconds: float = 1800.0
    """A target that soon had to be left again must be well for half as long again as it was then,
    up to this; a good stretch as long as this is trusted."""
    moves_burst: int = 3
    moves_refill_seconds: float = 1200.0
    ramp_step_seconds: float = 60.0

    session_idle_seconds: float = 300.0
    session_pin_seconds: float = 1800.0
    session_stable_seconds: float = 600.0
    session_stagger_seconds: float = 30.0

    wait_max_seconds: float = 20.0
    wait_base_seconds: float = 2.0
    queue_waiters: int = 64
    deadline_seconds: float = 90.0
    max_attempts: int = 4
    max_attempts_per_provider: int = 2
    retry_budget_ratio: float = 0.2
    retry_budget_floor_per_minute: int = 10

    def with_overrides(self, *layers: Mapping[str, Any]) -> Stability:
        """This, with each layer's values in place of its own; the last layer wins."""
        merged: dict[str, Any] = {}
        for layer in layers:
            merged.update(layer)
        return replace(self, **merged) if merged else self


STABILITY_KEYS: frozenset[str] = frozenset(f.name for f in fields(Stability))


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An upstream account: where it is, how it is spoken to, with which credentials."""

    __pydantic_config__: ClassVar[Any] = STRICT
    name: str
    dialect: Dialect
    base_url: str = ""
    vendor: str = ""
    """Whose error rules and prices apply; empty = by the host of `base_url`, else by the name."""
    credentials: tuple[Credential, ...] = ()
    rotation: Rotation = Rotation.SEQUENTIAL
    rotation_tolerance: float = 3.0
    """Of `balanced`: the larger, the more even the choice."""
    max_in_flight: int | None = None
    models: ModelRules = ModelRules()
    quota_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    billing: Billing = Billing.METERED
    responses: Responses = Responses.AUTO
    """Of the dialect `openai`: whether it serves `/responses`; `auto` goes by the address."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By glob over its models; asked before the built-in price table, the first that fits."""
    http_client: HttpClient = HttpClient.OWN
    internal: bool = False
    """Ours: it is sent the trace of a request, which nobody else's business is."""
    timeouts: Timeouts = Timeouts()
    errors: tuple[ErrorRule, ...] = ()
    simulated: Simulated = Simulated()
    litellm: LiteLLM = LiteLLM()
    """Of the dialect `litellm`."""
    stability: Mapping[str, Any] = field(default_factory=dict)
    """Overrides for this provider, by the names of `Stability`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTarget:
    __pydantic_config__: ClassVar[Any] = STRICT
    target: str
    """`provider/model`."""
    context_tokens: int | None = None
    first_content_seconds: float | None = None
    """Of this model, where it differs from its provider's."""
    drop: tuple[str, ...] = ()
    """Top-level fields of a request's body that this target refuses and can do without."""

    @property
    def provider(self) -> str:
        return self.target.partition("/")[0]

    @property
    def model(self) -> str:
        return self.target.partition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A model name offered to clients, with its ordered targets."""

    __pydantic_config__: ClassVar[Any] = STRICT
    name: str
    targets: tuple[RouteTarget, ...]
    returns: ReturnPolicy = ReturnPolicy.AUTO
    """`return` in the file: a keyword in Python."""
    allow_metered_fallback: bool = True
    fallback_on_context_too_long: bool = False
    prefer_same_family: bool = False
    """A session that has to leave its target goes to one of the same dialect first: what its
    conversation holds of thinking and ids stays readable, and nothing is translated."""
    stability: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Chains for clients that ask for `provider/model` instead of a route."""

    __pydantic_config__: ClassVar[Any] = STRICT
    compatible: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Provider → providers that serve the same model names, in order."""
    model_names: Mapping[str, str] = field(default_factory=dict)
    """`provider/model` → `provider/model`, where the name differs."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Lists of `provider/model` that may stand in for each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    __pydantic_config__: ClassVar[Any] = STRICT
    attempts_days: int = 14
    """Requests and attempts; what tells of single sessions too."""
    switches_days: int = 180
    """Switches, cooldowns and all other events."""
    rollups_days: int = 1830
    max_bytes: int = 524_288_000
    """Of the database. The oldest requests and attempts go first, switches never before their age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    __pydantic_config__: ClassVar[Any] = STRICT
    url: str = field(default="sqlite+aiosqlite:///evenkeel.db", repr=False)
    """A relative SQLite path is taken from the configuration file's folder. May hold a password."""
    durability: Durability = Durability.BATCHED
    retention: Retention = Retention()


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedState:
    __pydantic_config__: ClassVar[Any] = STRICT
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    __pydantic_config__: ClassVar[Any] = STRICT
    prometheus: bool = True
    otlp_endpoint: str = ""
    """Such as http://127.0.0.1:4318; empty = no spans are made."""
    trace_sample_ratio: float = 1.0
    """Of requests in which nothing happened; the others are always kept."""
    trace_slow_seconds: float = 60.0
    """From this long on a request's spans are always kept."""
    genai_conventions: GenAIConventions = GenAIConventions.RELEASED
    capture_content: bool = False
    """Prompts and answers onto spans: cut to 64 KiB each, without what looks like a key."""
    log_format: LogFormat = LogFormat.CONSOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    __pydantic_config__: ClassVar[Any] = STRICT
    server: Server = Server()
    auth: Auth = Auth()
    providers: Mapping[str, Provider] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    fallback: Fallback = Fallback()
    stability: Stability = Stability()
    storage: Storage = Storage()
    shared_state: SharedState = SharedState()
    telemetry: Telemetry = Telemetry()

    def provider_stability(self, provider: str) -> Stability:
        """What governs a provider's credentials and targets."""
        return self.stability.with_overrides(self.providers[provider].stability)

    def route_stability(self, route: Route) -> Stability:
        """What governs a route's pointer, sessions and bounds."""
        return self.stability.with_overrides(route.stability)

    def hold_stability(self, route: Route, provider: str) -> Stability:
        """What governs the fallback cooldown of a provider's target on a route."""
        return self.stability.with_overrides(self.providers[provider].stability, route.stability)
