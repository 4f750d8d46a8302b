"""The files agree, and what is written for the others can be read. They are not installed here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.benchmarks import peers

ROOT = Path(__file__).parents[2]
URLS = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]


def test_the_version_of_portkey_is_one_and_the_same_everywhere() -> None:
    asked = json.loads((peers.FILES / "package.json").read_text("utf-8"))["dependencies"]
    lock = json.loads((peers.FILES / "package-lock.json").read_text("utf-8"))["packages"]
    assert list(asked) == ["@portkey-ai/gateway"]
    for name, version in asked.items():
        assert lock[f"node_modules/{name}"]["version"] == version
    assert lock[""]["dependencies"] == asked
    assert all("integrity" in each for path, each in lock.items() if path)
    assert not any("resolved" in each for each in lock.values())


def test_the_lock_of_litellm_has_hashes_and_is_within_the_range() -> None:
    text = (peers.FILES / "litellm.lock").read_text("utf-8")
    pinned = re.findall(r"^([a-z0-9][\w.\-]*)(?:\[[\w,]+\])?==(\S+)", text, re.MULTILINE)
    assert text.count("--hash=sha256:") >= len(pinned) > 50
    [version] = [version for name, version in pinned if name == "litellm"]
    [least] = re.findall(
        r"litellm\[proxy\]>=([\d.]+),<2", (peers.FILES / "litellm.in").read_text("utf-8")
    )
    assert tuple(map(int, version.split("."))) >= tuple(map(int, least.split(".")))


def test_the_makefile_installs_from_these_files_and_git_ignores_what_it_installs() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    [folder] = re.findall(r"^PEERS := (\S+)$", text, re.MULTILINE)
    assert ROOT / folder == peers.FILES
    for path in (peers.LITELLM, peers.PORTKEY):
        assert str(path.relative_to(ROOT)).startswith(".peers/")
    assert ".peers/litellm/installed: $(PEERS)/litellm.lock" in text
    assert str(peers.PORTKEY.relative_to(ROOT)) in text
    assert ".peers/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_litellms_configuration_is_yaml_whose_names_are_known(count: int) -> None:
    tree = yaml.safe_load(peers.litellm_config(URLS[:count]))
    names = [each["model_name"] for each in tree["model_list"]]
    assert names[0] == "bench"
    assert [each["litellm_params"]["api_base"] for each in tree["model_list"]] == [
        f"{url}/v1" for url in URLS[:count]
    ]
    told = tree.get("litellm_settings", {}).get("fallbacks", [])
    assert told == ([{"bench": names[1:]}] if count > 1 else [])


def test_deployments_of_one_group_have_one_name() -> None:
    tree = yaml.safe_load(peers.litellm_config(URLS, group=True))
    assert {each["model_name"] for each in tree["model_list"]} == {"bench"}
    assert len({each["litellm_params"]["model"] for each in tree["model_list"]}) == 3
    assert "litellm_settings" not in tree


def test_portkeys_targets_come_with_the_request(tmp_path: Path) -> None:
    alone = peers.portkey(URLS[:1]).headers
    assert alone["x-portkey-custom-host"] == f"{URLS[0]}/v1"
    config = json.loads(peers.portkey(URLS[:2]).headers["x-portkey-config"])
    assert config["strategy"] == {"mode": "fallback"}
    assert [each["custom_host"] for each in config["targets"]] == [f"{url}/v1" for url in URLS[:2]]
    assert peers.litellm(tmp_path, URLS).port != peers.portkey(URLS).port


def test_one_expression_of_portkey_is_mended_once() -> None:
    broken = f"a{peers.BROKEN}b"
    assert peers.mend(broken) == f"a{peers.MENDED}b"
    assert peers.mend(peers.mend(broken)) == peers.mend(broken)
    for other in ("", broken * 2):
        with pytest.raises(ValueError, match="another form"):
            peers.mend(other)
