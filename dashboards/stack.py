"""The neighbours' configuration: Prometheus, Alertmanager, Grafana's provisioning, Tempo.

Written twice: for `docker-compose.yml`, where each is found by its service's name, and for
programs started on one machine (`grafana/native`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as packaged
from typing import Any, Final

import yaml

HEADER: Final = "# Written by `python -m dashboards` from dashboards/stack.py; edit there.\n"
JOB: Final = "evenkeel"
"""The alert on a gateway that is down names this job."""
PROMETHEUS_FLAGS: Final = (
    "--enable-feature=exemplar-storage",
    "--storage.tsdb.retention.time=15d",
    "--storage.tsdb.retention.size=4GB",
)
"""What its configuration file cannot say: exemplars are kept, and the volume stays small."""
INHIBITED: Final = (
    ("EvenkeelNoCandidateLeft", "EvenkeelSingleCandidateLeft", ("route",)),
    ("EvenkeelRouteFlapping", "EvenkeelRoutePingPong|EvenkeelShortDwell", ("route",)),
    ("EvenkeelRoutePingPong", "EvenkeelShortDwell", ("route",)),
    ("EvenkeelErrorBudgetFastBurn", "EvenkeelErrorBudget(SlowBurn|Burn1d|Burn3d)", ("route",)),
    ("EvenkeelErrorBudgetSlowBurn", "EvenkeelErrorBudget(Burn1d|Burn3d)", ("route",)),
    ("EvenkeelErrorBudgetBurn1d", "EvenkeelErrorBudgetBurn3d", ("route",)),
    ("EvenkeelEventsDropped", "EvenkeelStoreInTrouble", ("instance",)),
    ("EvenkeelDown", "EvenkeelLoopLag", ("instance",)),
)
"""While the first one fires, the others say nothing new about the same route or gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the neighbours find each other."""

    gateway: str
    alertmanager: str
    prometheus: str
    tempo: str
    rules: str
    """Folder of the rule files, from Prometheus' own configuration."""
    dashboards: str
    """Folder of the boards, as Grafana sees it."""
    receiver: str


COMPOSE: Final = Place(
    gateway="gateway:8080",
    alertmanager="alertmanager:9093",
    prometheus="prometheus:9090",
    tempo="tempo:3200",
    rules="/etc/prometheus/rules",
    dashboards="/etc/grafana/dashboards",
    receiver="http://receiver:9095/alerts",
)
NATIVE: Final = Place(
    gateway="127.0.0.1:8080",
    alertmanager="127.0.0.1:9093",
    prometheus="127.0.0.1:9090",
    tempo="127.0.0.1:3200",
    rules="../rules",
    dashboards="grafana/dashboards",
    receiver="http://127.0.0.1:9095/alerts",
)


def prometheus(place: Place) -> str:
    return _yaml(
        {
            "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
            "rule_files": [f"{place.rules}/*.yml"],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [place.alertmanager]}]}]
            },
            "scrape_configs": [
                {
                    "job_name": JOB,
                    "metrics_path": "/metrics",
                    "static_configs": [{"targets": [place.gateway]}],
                }
            ],
        }
    )


def alertmanager(place: Place) -> str:
    """Pages at once and again every hour; the rest gathered, twice a day."""
    return _yaml(
        {
            "route": {
                "receiver": "tickets",
                "group_by": ["alertname", "route"],
                "group_wait": "30s",
                "group_interval": "5m",
                "repeat_interval": "12h",
                "routes": [
                    {
                        "receiver": "pages",
                        "matchers": ['severity="page"'],
                        "group_wait": "10s",
                        "repeat_interval": "1h",
                    }
                ],
            },
            "inhibit_rules": [
                {
                    "source_matchers": [f'alertname="{bigger}"'],
                    "target_matchers": [f'alertname=~"{smaller}"'],
                    "equal": list(equal),
                }
                for bigger, smaller, equal in INHIBITED
            ],
            "receivers": [
                {
                    "name": name,
                    "webhook_configs": [{"url": place.receiver, "send_resolved": True}],
                }
                for name in ("pages", "tickets")
            ],
        }
    )


def tempo() -> str:
    return _yaml(
        {
            "server": {"http_listen_port": 3200},
            "distributor": {
                "receivers": {"otlp": {"protocols": {"http": {"endpoint": "0.0.0.0:4318"}}}}
            },
            "storage": {
                "trace": {
                    "backend": "local",
                    "local": {"path": "/var/tempo/traces"},
                    "wal": {"path": "/var/tempo/wal"},
                }
            },
            "compactor": {"compaction": {"block_retention": "168h"}},
        }
    )


DEMO_SERVER: Final = "server: {host: 127.0.0.1, port: 8080}\n"
GATEWAY_SERVER: Final = """\
# Others can reach it, so it asks for keys. /metrics is open to whoever reaches the port.
server: {host: 0.0.0.0, port: 8080}
auth:
  clients: [{name: everybody, key: "${EVENKEEL_CLIENT_KEY}"}]
  admin_key: ${EVENKEEL_ADMIN_KEY}
storage:
  url: sqlite+aiosqlite:////data/evenkeel.db
telemetry:
  otlp_endpoint: ${EVENKEEL_OTLP_ENDPOINT:-http://tempo:4318}
  log_format: json
"""


def gateway() -> str:
    """The demo's own configuration, within reach of the neighbours."""
    demo = (packaged("gateway") / "demo.yaml").read_text(encoding="utf-8")
    assert DEMO_SERVER in demo
    return HEADER + demo.replace(DEMO_SERVER, GATEWAY_SERVER)


def datasources(place: Place) -> str:
    """Prometheus with links from exemplars to traces, Tempo, and the gateway's own history."""
    trace = {"name": "trace_id", "datasourceUid": "evenkeel-tempo"}
    key = "${EVENKEEL_ADMIN_KEY}"
    return _yaml(
        {
            "apiVersion": 1,
            "datasources": [
                _source(
                    "Prometheus",
                    "prometheus",
                    f"http://{place.prometheus}",
                    isDefault=True,
                    jsonData={"timeInterval": "15s", "exemplarTraceIdDestinations": [trace]},
                ),
                _source("Tempo", "tempo", f"http://{place.tempo}"),
                _source(
                    "History",
                    "yesoreyeram-infinity-datasource",
                    f"http://{place.gateway}",
                    jsonData={
                        "httpHeaderName1": "Authorization",
                        "allowedHosts": [f"http://{place.gateway}"],
                    },
                    secureJsonData={"httpHeaderValue1": f"Bearer {key}"},
                ),
            ],
        }
    )


def _source(name: str, kind: str, url: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    uid = f"evenkeel-{name.lower()}"
    plain = {"name": name, "type": kind, "uid": uid, "access": "proxy", "url": url}
    return plain | {"editable": False} | more


def boards(place: Place) -> str:
    provider = {
        "name": "Evenkeel",
        "folder": "Evenkeel",
        "type": "file",
        "allowUiUpdates": False,
        "options": {"path": place.dashboards},
    }
    return _yaml({"apiVersion": 1, "providers": [provider]})


def files() -> Mapping[str, str]:
    """Path below `grafana/` → content."""
    return {
        "gateway.yaml": gateway(),
        "prometheus.yml": prometheus(COMPOSE),
        "alertmanager.yml": alertmanager(COMPOSE),
        "tempo.yml": tempo(),
        "provisioning/datasources/evenkeel.yml": datasources(COMPOSE),
        "provisioning/dashboards/evenkeel.yml": boards(COMPOSE),
        "native/prometheus.yml": prometheus(NATIVE),
        "native/alertmanager.yml": alertmanager(NATIVE),
        "native/provisioning/datasources/evenkeel.yml": datasources(NATIVE),
        "native/provisioning/dashboards/evenkeel.yml": boards(NATIVE),
    }


def _yaml(content: dict[str, Any]) -> str:
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=120)
