"""The script of the page about operation brings a service a newer model, and only a good one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

from clusterseq.service.keys import add_key
from tests.docs.blocks import DOCS, blocks_of
from tests.docs.reader import SERVICE
from tests.service.serving import serving, settings_of

SCRIPT = next(
    block.text for block in blocks_of(DOCS / "how-to" / "operate.md") if "# update.sh" in block.text
)


def test_a_night_brings_a_newer_model_and_a_bad_day_leaves_the_former(
    shop: Path, tmp_path: Path
) -> None:
    models, keys = tmp_path / "models", tmp_path / "keys.jsonl"
    shutil.copytree(shop / "my-model", models / "first")
    (models / "current").symlink_to("first")
    (tmp_path / "events").mkdir()
    key = add_key(keys, "operator", ["admin", "read"])
    day = str(date.today() - timedelta(days=1))
    with serving(settings_of(models / "current", keys=keys)) as service:
        service.client.headers["X-API-Key"] = key
        script = SERVICE.sub(service.url.removeprefix("http://").rstrip("/"), SCRIPT)

        def night() -> tuple[int, str, str]:
            words = f'clusterseq() {{ "{sys.executable}" -m clusterseq "$@"; }}\n{script}'
            given = {**os.environ, "ADMIN_KEY": key}
            done = subprocess.run(["sh", "-c", words], cwd=tmp_path, env=given, capture_output=True)
            name = service.client.get("/v1/model").json()["name"]
            return done.returncode, os.readlink(models / "current"), name

        assert night() == (2, "first", "first"), "there is no file of that day"
        shutil.copy(shop / "this-week.csv", tmp_path / "events" / f"{day}.csv")
        assert night() == (0, day, day)
        assert night() == (2, day, day), "these events are in it already"
