"""Tensors on disk, where what the disk refuses is an error of the disk.

Knows nothing about: whose tensors they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, none of which shares its memory with another.

    Raises:
        OSError: the file can't be written, for example because the disk is full.
    """
    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:
        match = re.search(r"os error (\d+)", str(error))
        if match is None:
            raise
        number = int(match[1])
        raise OSError(number, os.strerror(number), str(path)) from error
