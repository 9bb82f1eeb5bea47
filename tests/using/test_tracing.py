"""A model is used by PyTorch alone, in a process that has never heard of clusterseq."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clusterseq.config import Config
from clusterseq.data.histories import Histories
from clusterseq.errors import ConfigError
from clusterseq.learning.checkpoint import Checkpoint, load_checkpoint
from clusterseq.model.ranker import Ranker
from clusterseq.overrides import with_assignments
from clusterseq.reading.events import read_events
from clusterseq.using.experiment import Experiment
from clusterseq.using.tracing import export_model

SOURCE = Path(__file__).parents[2] / "src"
ELSEWHERE = """
import json, sys
import torch
extra = {"items.json": "", "about.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra).module()
ids, about = json.loads(extra["items.json"]), json.loads(extra["about.json"])
codes = [[ids.index(one) for one in row] for row in json.loads(sys.argv[2])]
items = torch.tensor([row + [0] * (about["max_steps"] - len(row)) for row in codes])
lengths = torch.tensor([len(row) for row in codes])
together, alone = program(items, lengths), program(items[:1], lengths[:1])
assert "clusterseq" not in sys.modules
print(json.dumps({"together": together.tolist(), "alone": alone.tolist(), "ids": ids, **about}))
"""
HISTORIES = [["i03", "i05", "i08"], [], ["i33"], ["i01", "i01", "i40", "i02"], ["i59"]]


def python(*words: str) -> str:
    # Without the checks of shapes that tests switch on: they would fix the number of people.
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-P", *words]
    return subprocess.run(command, check=True, text=True, capture_output=True, env=env).stdout


def test_scores_are_those_of_the_recommender(
    events_file: Path, small: Config, tmp_path: Path
) -> None:
    config = with_assignments(small, ["model.max_steps=5"])  # each step is traced by itself
    checkpoint, _ = Experiment(read_events(events_file), tmp_path / "model", config).run()
    out = tmp_path / "model.pt2"
    python("-m", "clusterseq", "export", str(tmp_path / "model"), "--out", str(out))
    found = json.loads(python("-c", ELSEWHERE, str(out), json.dumps(HISTORIES)))
    assert found["ids"] == checkpoint.items.ids
    assert found["model"] == load_checkpoint(tmp_path / "model").content
    codes = [checkpoint.items.encode(list(row)) for row in HISTORIES]
    expected = Ranker(checkpoint.model).score(Histories.from_lists(codes))
    for people in ("together", "alone"):
        scores = torch.tensor(found[people])
        torch.testing.assert_close(scores, expected[: len(scores)], rtol=1e-5, atol=1e-5)


def test_another_ending_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a model is written to a name in \.pt2"):
        export_model(checkpoint, tmp_path / "model.onnx")
