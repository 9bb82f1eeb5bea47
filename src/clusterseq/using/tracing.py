"""A model as a file that PyTorch alone reads: ``torch.export`` of histories to scores.

    program = torch.export.load("model.pt2").module()
    scores = program(items, lengths)

Raw ids go with it, as ``items.json`` in the archive: the place of an id is its index.

Knows nothing about: what is computed.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch

from clusterseq.errors import ConfigError
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.machine.files import write_whole
from clusterseq.model.portable import Portable
from clusterseq.model.ranker import Ranker

ENDING = ".pt2"
ITEMS, ABOUT = "items.json", "about.json"
SOME = 3
"""People of the example that is traced; any number is taken afterwards."""


def traced(checkpoint: Checkpoint) -> torch.export.ExportedProgram:
    """The program of ``(items, lengths)``: histories padded to ``max_steps``, and their lengths."""
    steps = checkpoint.model.config.max_steps
    example = torch.zeros(SOME, steps, dtype=torch.int64), torch.full((SOME,), steps)
    people = {0: torch.export.Dim("users")}
    module = Portable(Ranker(checkpoint.model))
    with torch.no_grad():
        return torch.export.export(module, example, dynamic_shapes=(people, people), strict=False)


def export_model(checkpoint: Checkpoint, path: str | Path) -> None:
    """Write a model as a program of PyTorch, with its raw ids; whole or not at all.

    Raises:
        ConfigError: the ending isn't ``.pt2``.
        DataError: the place can't be written.
    """
    if Path(path).suffix.lower() != ENDING:
        raise ConfigError(
            f"{path}: unknown ending; a model is written to a name in {ENDING}", code="output"
        )
    config = checkpoint.model.config
    about = {"n_items": config.n_items, "max_steps": config.max_steps}
    extra = {
        ITEMS: json.dumps(checkpoint.items.ids, ensure_ascii=False),
        ABOUT: json.dumps({**about, "model": checkpoint.content}),
    }
    buffer = io.BytesIO()
    torch.export.save(traced(checkpoint), buffer, extra_files=extra)
    write_whole(Path(path), buffer.getvalue())
