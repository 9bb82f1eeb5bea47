"""What a directory of files must hold, byte for byte, so that damage is found before it is read.

The manifest names a format version and each file's size and SHA-256; a last hash covers the
manifest itself. It guards against damage, not against somebody who rewrites the hashes too.

Knows nothing about: what the files mean.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from clusterseq.errors import CheckpointError
from clusterseq.machine.files import file_sha256

MANIFEST = "manifest.json"
FORMAT = 1
LARGEST_JSON = 64 * 2**20
"""No JSON file of a checkpoint is larger, so nothing larger is read into memory."""
_RECORDED = ("clusterseq", "torch", "numpy", "polars", "safetensors")


def write_manifest(directory: Path, files: Iterable[str], about: Mapping[str, Any]) -> None:
    """Describe files that lie in ``directory`` already; ``about`` is kept beside their hashes."""
    entries = {name: _entry(directory / name) for name in files}
    body = {"format": FORMAT, "versions": versions(), "files": entries, **about}
    write_json(directory / MANIFEST, {**body, "content": _content(body)})


def read_manifest(directory: Path, files: Iterable[str] = ()) -> dict[str, Any]:
    """The manifest, once every one of ``files`` is as it says.

    Raises:
        CheckpointError: it is missing, damaged or of another version, or a file differs from it.
    """
    if not directory.exists():
        raise CheckpointError(f"{directory}: no such directory; name one that training has saved")
    path = directory / MANIFEST
    if not path.is_file():
        raise CheckpointError(f"{directory}: no {MANIFEST} in it, so not a model; name another")
    manifest = read_json(path)
    _check_version(directory, manifest)
    content = manifest.pop("content", None)
    if content != _content(manifest):
        raise damaged(path, "its own checksum differs")
    check_files(directory, manifest, files)
    return {**manifest, "content": content}


def check_files(directory: Path, manifest: Mapping[str, Any], files: Iterable[str]) -> None:
    """Hold files to what a manifest says of them.

    Raises:
        CheckpointError: it doesn't list one of them, or a file differs.
    """
    entries = manifest.get("files")
    for name in files:
        if not isinstance(entries, dict) or not isinstance(entry := entries.get(name), dict):
            raise damaged(directory / MANIFEST, f"it doesn't list {name}")
        _check_file(directory / name, entry)


def as_json(values: Mapping[str, Any]) -> bytes:
    """JSON that people can read, the same bytes for the same values."""
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write it to a file."""
    path.write_bytes(as_json(values))


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object.

    Raises:
        CheckpointError: the file is missing, too large, or holds anything else.
    """
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise damaged(path, "it is too large")
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise damaged(path, "not a JSON object")
    return values


def versions() -> dict[str, str]:
    """The versions of this program and of what decides a model's numbers."""
    recorded = {}
    for name in _RECORDED:
        try:
            recorded[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from its source, not installed
            recorded[name] = "unknown"
    return recorded


def damaged(path: Path, why: object) -> CheckpointError:
    """The error for a file that isn't what was saved."""
    reason = " ".join(str(why).split())[:200]
    return CheckpointError(f"{path}: damaged ({reason}); restore a copy or train the model again")


def unreadable(path: Path, error: OSError) -> CheckpointError:
    """The error for a file that can't be read at all."""
    return CheckpointError(
        f"{path}: {error.strerror or error}; restore a copy or train the model again"
    )


def _check_version(directory: Path, manifest: Mapping[str, Any]) -> None:
    version = manifest.get("format")
    if not isinstance(version, int) or version < 1:
        raise damaged(directory / MANIFEST, "no format version in it")
    if version > FORMAT:
        raise CheckpointError(
            f"{directory}: saved in format {version} by a newer clusterseq, and this one reads up "
            f"to {FORMAT}; upgrade with pip install -U clusterseq"
        )


def _check_file(path: Path, entry: Mapping[str, Any]) -> None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device would be read without end
            raise damaged(path, "not a file")
        size = status.st_size
        # The size first: a file that has grown by gigabytes isn't worth hashing.
        if size != entry.get("bytes"):
            raise damaged(path, f"{size} bytes where {entry.get('bytes')} were saved")
        if file_sha256(path) != entry.get("sha256"):
            raise damaged(path, "its checksum differs")
    except OSError as error:
        raise unreadable(path, error) from error


def _entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _content(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
