"""The commands of the container, run on this machine, which needs no engine for that."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clusterseq.service.keys import add_key

ROOT = Path(__file__).parents[2]


def instruction(name: str) -> str:
    """What stands after an instruction of the Dockerfile, continued lines joined; the last one."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found = re.findall(rf"^{name} (.*)$", text, re.MULTILINE)
    return str(found[-1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_image_serves_and_finds_itself_healthy(model_directory: Path, tmp_path: Path) -> None:
    keys, port = tmp_path / "keys.jsonl", free_port()
    add_key(keys, "shop", ["read"])
    words = json.loads(instruction("ENTRYPOINT")) + json.loads(instruction("CMD"))
    here = {
        "/model": str(model_directory),
        "/data/histories.sqlite": str(tmp_path / "histories.sqlite"),
        "/keys.jsonl": str(keys),
    }
    assert words[0] == "clusterseq"
    command = [sys.executable, "-m", *(here.get(word, word) for word in words), "--port", str(port)]
    healthy = [word.replace("8000", str(port)) for word in _healthcheck()]
    assert healthy[0] == "python"
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 60
            while subprocess.run([sys.executable, *healthy[1:]], capture_output=True).returncode:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
        finally:
            process.terminate()
    assert process.returncode == 0, "it has drained and ended in order"


def _healthcheck() -> list[str]:
    found: list[str] = json.loads(instruction("HEALTHCHECK").split("CMD", 1)[1])
    return found


def test_the_image_is_built_from_files_that_are_there_by_commands_that_tests_run() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not {"src", "pyproject.toml", "constraints.txt"} & set(ignored)
    assert "USER clusterseq" in text
    assert "-c constraints.txt '.[serve]'" in text


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
