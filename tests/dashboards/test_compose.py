"""docker-compose.yml and what it mounts, as far as that can be judged without a container engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import stack
from gateway import config_file
from tests.end_to_end.gateways import client_of, program

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
KEYS = {"EVENKEEL_CLIENT_KEY": "client-key", "EVENKEEL_ADMIN_KEY": "admin-key"}
HERE = ("--host", "127.0.0.1", "--port", "0")
KNOWN = {
    "build",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "logging",
    "mem_limit",
    "ports",
    "pull_policy",
    "restart",
    "stop_grace_period",
    "user",
    "volumes",
}
"""Of the Compose specification, what is used here: a misspelt word fails."""


def test_the_words_are_those_of_the_specification() -> None:
    assert set(COMPOSE) == {"name", "x-logging", "services", "volumes"}
    for name, service in SERVICES.items():
        assert set(service) <= KNOWN, name
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert how["condition"] in {"service_healthy", "service_started"}
        assert set(service["healthcheck"]) <= {
            "test",
            "interval",
            "timeout",
            "retries",
            "start_period",
        }
        assert service["healthcheck"]["test"][0] == "CMD"


def test_everything_that_the_contract_names_is_there() -> None:
    assert set(SERVICES) >= {"gateway", "prometheus", "alertmanager", "grafana", "tempo"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_bounded_and_not_root(name: str) -> None:
    service = SERVICES[name]
    image, _, tag = service["image"].rpartition(":")
    assert image
    assert tag == "local" or re.fullmatch(r"v?\d+\.\d+\.\d+", tag)
    user = service["user"].partition(":")[0]
    assert user.isdecimal()
    assert int(user) > 0
    assert service["mem_limit"]
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_exists_and_volumes_are_declared(name: str) -> None:
    for mount in SERVICES[name].get("volumes", ()):
        source, target, *mode = mount.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]


def test_ports_are_published_on_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == len(set(published)) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_neighbours_find_each_other() -> None:
    """Each address in the mounted files is a service that listens on that port."""
    place = stack.COMPOSE
    listens = {
        "gateway": yaml.safe_load(stack.gateway())["server"]["port"],
        "prometheus": 9090,
        "alertmanager": 9093,
        "tempo": yaml.safe_load(stack.tempo())["server"]["http_listen_port"],
        "receiver": int(SERVICES["receiver"]["command"][-1]),
    }
    addresses = (place.gateway, place.prometheus, place.alertmanager, place.tempo)
    for address in (*addresses, re.sub(r"^http://|/alerts$", "", place.receiver)):
        host, _, port = address.partition(":")
        assert host in SERVICES
        assert listens[host] == int(port)
    for name in ("gateway", "prometheus", "alertmanager"):
        assert f"127.0.0.1:{listens[name]}:{listens[name]}" in SERVICES[name]["ports"]
    assert f":{listens['gateway']}/healthz" in SERVICES["gateway"]["healthcheck"]["test"][-1]
    receives = yaml.safe_load(stack.tempo())["distributor"]["receivers"]["otlp"]["protocols"]
    assert receives["http"]["endpoint"].endswith(":4318")
    assert "http://tempo:4318" in stack.gateway()


def test_folders_are_mounted_where_the_files_look_for_them() -> None:
    mounts = [
        mount.split(":")[1] for each in SERVICES.values() for mount in each.get("volumes", ())
    ]
    assert stack.COMPOSE.rules in mounts
    assert stack.COMPOSE.dashboards in mounts
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(stack.COMPOSE.dashboards)
    assert (ROOT / "grafana" / "dashboards" / Path(home).name).exists()


def test_prometheus_keeps_exemplars_and_stays_small() -> None:
    command = SERVICES["prometheus"]["command"]
    assert set(stack.PROMETHEUS_FLAGS) <= set(command)


def test_every_variable_has_a_value_or_a_place_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    found = re.findall(r"\$\{(\w+)(:-[^}]+)?\}", text)
    assert {name for name, _ in found} >= set(KEYS)
    for name, default in found:
        assert default
        assert f"{name}=" in example


def test_provisioning_has_the_shape_that_grafana_reads() -> None:
    folder = ROOT / "grafana" / "provisioning"
    for path in folder.rglob("*.yml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["apiVersion"] == 1
    found = {path.parent.name for path in folder.rglob("*.yml")}
    assert found == {"datasources", "dashboards", "alerting"}
    sources = yaml.safe_load((folder / "datasources/evenkeel.yml").read_text())["datasources"]
    uids = {each["uid"] for each in sources} | {"__expr__"}
    for group in yaml.safe_load((folder / "alerting/evenkeel.yml").read_text())["groups"]:
        assert {"orgId", "name", "folder", "interval", "rules"} == set(group)
        for rule in group["rules"]:
            assert {each["datasourceUid"] for each in rule["data"]} <= uids
            assert rule["condition"] in {each["refId"] for each in rule["data"]}
            # Grafana wants both of these annotations or none, and a panel's number may change.
            assert not {"__dashboardUid__", "__panelId__"} & set(rule["annotations"])
    plugin = SERVICES["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_SYNC"]
    assert re.fullmatch(r"yesoreyeram-infinity-datasource@\d+\.\d+\.\d+", plugin)
    assert plugin.partition("@")[0] in {each["type"] for each in sources}


async def test_the_scrape_target_answers_with_this_very_configuration(tmp_path: Path) -> None:
    """The container's command, started natively, but for the address and the database's folder."""
    text = (ROOT / "grafana" / "gateway.yaml").read_text(encoding="utf-8")
    config = config_file.parse(text, environ=KEYS)
    assert config.server.host == "0.0.0.0"
    path = tmp_path / "gateway.yaml"
    path.write_text(text.replace("////data/", f"///{tmp_path}/"), encoding="utf-8")
    command = [part.replace("/etc/evenkeel/gateway.yaml", str(path)) for part in _command()]
    where = {"EVENKEEL_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    async with (
        program(tmp_path, *command, *HERE, **KEYS, **where) as p,
        client_of(await p.url()) as client,
    ):
        [job] = yaml.safe_load(stack.prometheus(stack.COMPOSE))["scrape_configs"]
        assert (await client.metrics()).total("evenkeel_route_active") == 3
        assert (await client.get(job["metrics_path"])).status == 200
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/api/v1/switches")).status == 401
        key = f"Bearer {KEYS['EVENKEEL_ADMIN_KEY']}"
        assert (await client.get("/api/v1/switches", authorization=key)).status == 200
        assert (await client.chat()).status == 401


def _command() -> list[str]:
    program_name, *arguments = SERVICES["gateway"]["command"]
    assert program_name == "evenkeel"
    return list(arguments)
