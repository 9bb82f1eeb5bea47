"""Checks every tensor of a saved model against what the configuration asks for, then takes it.

Knows nothing about: files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from clusterseq.config import ModelConfig
from clusterseq.data.memory import KINDS, Memory
from clusterseq.errors import CheckpointError
from clusterseq.model.clusterseq import ClusterSeq

GRAPH = ("items.graph_starts", "items.graph_items", "items.graph_weights")
MEMORY = ("starts", "items", "weights")


def restored(config: ModelConfig, tensors: Mapping[str, Tensor]) -> ClusterSeq:
    """The model whose ``tensors()`` these are.

    Raises:
        CheckpointError: a tensor is missing, unknown, of another shape or type, or not finite.
    """
    model = ClusterSeq(config)
    memory = {n.removeprefix("memory."): t for n, t in tensors.items() if n.startswith("memory.")}
    state = {n: t for n, t in tensors.items() if not n.startswith("memory.")}
    template = model.state_dict()
    _same_names(set(template), set(state))
    if model.config.memory:
        _same_names(set(MEMORY), set(memory))
    elif memory:
        raise CheckpointError("the model has a memory that its configuration denies; save it anew")
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"tensor {name} is not finite; train the model again")
    if model.config.smoothing > 0:
        graph = [state[name] for name in GRAPH]
        model.items.set_graph(_matrix(graph, model.n_items, model.n_items, torch.int64))
    for name, expected in model.state_dict().items():
        if state[name].shape != expected.shape or state[name].dtype != expected.dtype:
            raise CheckpointError(
                f"tensor {name} is {state[name].dtype} {tuple(state[name].shape)}, expected "
                f"{expected.dtype} {tuple(expected.shape)}; save the model anew"
            )
    anchors = state.get("anchors", torch.zeros(1, dtype=torch.int64))
    if int(anchors.min()) < 0 or int(anchors.max()) >= model.n_items:
        raise CheckpointError("the model's anchors are no items of its own; save it anew")
    model.load_state_dict(state)
    if memory:
        parts = [memory[name] for name in MEMORY]
        _matrix(parts, len(KINDS) * model.n_items, model.n_items, torch.int32)
        model.memory = Memory.from_tensors(memory)
    return model


def _same_names(expected: set[str], actual: set[str]) -> None:
    if missing := sorted(expected - actual):
        raise CheckpointError(f"the model lacks the tensor {missing[0]}; save it anew")
    if unknown := sorted(actual - expected):
        raise CheckpointError(f"the model holds an unknown tensor {unknown[0]}; save it anew")


def _matrix(
    parts: Sequence[Tensor], rows: int, columns: int, index_dtype: torch.dtype
) -> sparse.csr_array:
    """A sparse matrix, if the three arrays are one: wrong ones would read outside memory."""
    starts, items, weights = parts
    fits = (
        [part.dtype for part in parts] == [torch.int64, index_dtype, torch.float32]
        and all(part.dim() == 1 for part in parts)
        and len(starts) == rows + 1
        and len(items) == len(weights) == int(starts[-1])
        and int(starts[0]) == 0
        and bool((np.diff(starts.numpy()) >= 0).all())
        and (not len(items) or (int(items.min()) >= 0 and int(items.max()) < columns))
    )
    if fits:
        matrix = sparse.csr_array((weights.numpy(), items.numpy(), starts.numpy()), (rows, columns))
        if matrix.has_canonical_format:  # ascending columns, each once
            return matrix
    raise CheckpointError("a sparse matrix of the model is damaged; save the model anew")
