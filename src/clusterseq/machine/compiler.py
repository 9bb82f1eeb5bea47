"""Functions of tensors, compiled by PyTorch for this processor: one call for what were hundreds.

Knows nothing about: what is computed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch

from clusterseq.errors import ConfigError

CACHE = "TORCHINDUCTOR_CACHE_DIR"
MODELS = 64
"""Shapes and models of one process that are compiled for; PyTorch would stop at 8."""
Result = TypeVar("Result")


def compiled(
    function: Callable[..., Result], examples: Iterable[tuple[Any, ...]]
) -> Callable[..., Result]:
    """The same function, compiled for arguments of the shapes of each example.

    For others, or where PyTorch has got other threads meanwhile, it isn't: nobody waits for the
    compiler later.

    Takes a minute. PyTorch keeps what it makes in ``TORCHINDUCTOR_CACHE_DIR``, so that the next
    process takes seconds; where that isn't set, in a directory of this user's alone, because what
    lies there is run.

    Raises:
        ConfigError: there is no compiler of C++, or it fails, or what it makes can't be kept.
    """
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise ConfigError(
            f"compiling the model needs a compiler of C++, and {compiler} isn't there; install it "
            "(apt-get install g++), name another in CXX, or don't ask for compiling"
        )
    os.environ[CACHE] = str(_cache())
    compiled_function = torch.compile(function, fullgraph=True, dynamic=False)
    try:
        with torch._dynamo.config.patch(recompile_limit=MODELS):
            for example in examples:
                compiled_function(*example)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"the model can't be compiled here ({reason}); mend that, or don't ask for compiling"
        ) from error
    # What was compiled is run, and never more compiled, in this thread alone: a stance would hold
    # for all threads, and one of them may be compiling the next model.
    run: Callable[..., Result] = torch._dynamo.run(function)
    return run


def _cache() -> Path:
    """The directory that is named, or one where nobody else can put anything.

    The latter is gone with the container where homes can't be written to.
    """
    configured = os.environ.get(CACHE)
    try:
        if configured:
            return _writable(Path(configured))
        try:
            return _writable(Path.home() / ".cache" / "clusterseq")
        except (OSError, RuntimeError):
            return Path(tempfile.mkdtemp(prefix="clusterseq-"))
    except OSError as error:
        raise ConfigError(
            f"what is compiled can't be kept ({error}); name a directory in {CACHE} that you can "
            "write to, and nobody else, or don't ask for compiling"
        ) from error


def _writable(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory):
        return directory
