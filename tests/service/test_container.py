"""The commands of the container, run on this machine, which needs no engine for that."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clusterseq.machine.manifest import MANIFEST
from clusterseq.service.keys import add_key
from clusterseq.service.server import DRAIN_SECONDS, READY_SECONDS, Settings
from clusterseq.service.store import is_shared
from clusterseq.using.storage import push_model
from tests.docs.blocks import DOCS, ROOT, blocks_of
from tests.ports import free_port

DOCKERFILE = ROOT / "Dockerfile"


def instruction(name: str) -> str:
    """What stands after an instruction of the Dockerfile, continued lines joined; the last one."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    found = re.findall(rf"^{name} (.*)$", text, re.MULTILINE)
    return str(found[-1])


@contextmanager
def running(
    words: list[str], here: Mapping[str, str], port: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The image's command with these arguments, on a port of this machine, until the block ends."""
    entry = json.loads(instruction("ENTRYPOINT"))
    assert entry[0] == "clusterseq"
    words = [here.get(word, word) for word in [*entry, *words]]
    command = [sys.executable, "-m", *words, "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
    assert process.returncode == 0, "it has drained and ended in order"


def wait_for(process: subprocess.Popen[bytes], so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not so():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_image_serves_and_finds_itself_healthy(model_directory: Path, tmp_path: Path) -> None:
    keys, port = tmp_path / "keys.jsonl", free_port()
    add_key(keys, "shop", ["read"])
    here = {
        "/model": str(model_directory),
        "/data/histories.sqlite": str(tmp_path / "histories.sqlite"),
        "/keys.jsonl": str(keys),
    }
    healthy = [word.replace("8000", str(port)) for word in _healthcheck()]
    assert healthy[0] == "python"
    check = [sys.executable, *healthy[1:]]
    with running(json.loads(instruction("CMD")), here, port) as process:
        wait_for(process, lambda: not subprocess.run(check, capture_output=True).returncode)


def _healthcheck() -> list[str]:
    found: list[str] = json.loads(instruction("HEALTHCHECK").split("CMD", 1)[1])
    return found


def test_the_image_is_built_from_files_that_are_there_by_commands_that_tests_run() -> None:
    text = DOCKERFILE.read_text()
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not {"src", "pyproject.toml", "constraints.txt"} & set(ignored)
    assert "USER clusterseq" in text
    assert "-c constraints.txt '.[serve,storage]'" in text


@pytest.mark.parametrize("name", ["compose.yaml", "deploy/prometheus.yml"])
def test_services_know_each_other_by_name(name: str) -> None:
    yaml = pytest.importorskip("yaml")
    told = yaml.safe_load((ROOT / name).read_text())
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    if name == "compose.yaml":
        assert set(told["services"]) == {"clusterseq", "redis", "prometheus"}
        command = told["services"]["clusterseq"]["command"]
        assert "redis://redis:6379/0" in command
        assert "--appendonly yes" in shlex.join(told["services"]["redis"]["command"])
        for mount in told["services"]["prometheus"]["volumes"]:
            assert (ROOT / mount.split(":")[0]).exists()
    else:
        target = told["scrape_configs"][0]["static_configs"][0]["targets"][0]
        assert target.split(":")[0] in compose["services"]
        assert target.split(":")[1] in instruction("EXPOSE")


def shown() -> list[Any]:
    """What the page shows as YAML: the deployment with the service, and how a model is fetched."""
    yaml = pytest.importorskip("yaml")
    return [
        list(yaml.safe_load_all(block.text))
        for block in blocks_of(DOCS / "how-to" / "containers.md")
        if block.language == "yaml"
    ]


def kubernetes() -> tuple[dict[str, Any], dict[str, Any]]:
    """The deployment and the service that the page shows."""
    deployment, service = shown()[0]
    return deployment, service


def probes(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: probe for name, probe in container.items() if name.endswith("Probe")}


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_kubernetes_starts_asks_and_ends_the_image(
    model_directory: Path, redis_url: str, tmp_path: Path
) -> None:
    pod = kubernetes()[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    keys, port = tmp_path / "keys.jsonl", free_port()
    add_key(keys, "shop", ["read"])
    here = {
        "/model": str(model_directory),
        "/keys/keys.jsonl": str(keys),
        "redis://redis:6379/0": redis_url,
    }
    assert set(here) <= {*container["args"], *json.loads(instruction("ENTRYPOINT"))}
    asked = probes(container)
    assert set(asked) == {"startupProbe", "readinessProbe", "livenessProbe"}
    with running(container["args"], here, port) as process:
        for probe in asked.values():
            address = f"http://127.0.0.1:{port}{probe['httpGet']['path']}"
            wait_for(process, partial(answers, address))
    command = container["lifecycle"]["preStop"]["exec"]["command"]
    waits = int(command[1])
    assert command[0] == "sleep"
    assert pod["terminationGracePeriodSeconds"] >= waits + DRAIN_SECONDS
    start = asked["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= READY_SECONDS


def test_what_kubernetes_fetches_is_what_the_service_mounts(
    model_directory: Path, tmp_path: Path
) -> None:
    ((pod,),) = shown()[1:]
    (container,) = pod["initContainers"]
    (volume,) = pod["volumes"]
    (mount,) = container["volumeMounts"]
    assert mount["name"] == volume["name"]
    (tmp_path / "bucket").mkdir()
    push_model(model_directory, (tmp_path / "bucket").as_uri())
    address, place = (word for word in container["command"] if "/" in word)
    here = {
        "clusterseq": [sys.executable, "-m", "clusterseq"],
        address: [(tmp_path / "bucket").as_uri()],
        place: [str(tmp_path / place.removeprefix(f"{mount['mountPath']}/"))],
    }
    words = [one for word in container["command"] for one in here.get(word, [word])]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    page = (DOCS / "how-to" / "containers.md").read_text(encoding="utf-8")
    (folder,) = re.findall(rf"name: {volume['name']}, mountPath: /model, subPath: (\w+)", page)
    assert (tmp_path / folder / MANIFEST).exists()


def test_kubernetes_and_the_image_agree() -> None:
    deployment, service = kubernetes()
    template = deployment["spec"]["template"]
    pod, (container,) = template["spec"], template["spec"]["containers"]
    exposed = int(instruction("EXPOSE"))
    assert exposed == Settings(Path()).port
    told = [probe["httpGet"]["port"] for probe in probes(container).values()]
    told += [port["containerPort"] for port in container["ports"]]
    told += [port["targetPort"] for port in service["spec"]["ports"]]
    told.append(int(template["metadata"]["annotations"]["prometheus.io/port"]))
    assert set(told) == {exposed}
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    assert f"useradd --uid {pod['securityContext']['runAsUser']} " in DOCKERFILE.read_text()
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(mounted.values()) == {volume["name"] for volume in pod["volumes"]}
    assert {"/model", "/keys", "/tmp"} == set(mounted), "all else is read-only"
    assert deployment["spec"]["replicas"] > 1
    assert is_shared(container["args"][container["args"].index("--store") + 1])
