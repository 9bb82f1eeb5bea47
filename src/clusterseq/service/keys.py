"""API keys: who may read recommendations, write events, and administer the service.

A key is 256 random bits, shown once; its SHA-256 is kept, in a file of JSON lines. (A slow hash
guards guessable secrets; nobody guesses these.) Comparison takes as long whatever is given.

Knows nothing about: HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from clusterseq.errors import ConfigError

SCOPES = ("read", "events", "admin")
PREFIX = "cs_"
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Key:
    """Who a key was given to, and what it opens."""

    name: str
    """Whose it is."""
    sha256: str
    """Of the key; the key itself is kept nowhere."""
    scopes: tuple[str, ...]
    """Some of ``SCOPES``."""


class Keyring:
    """The keys of a service; without any, everybody may do everything."""

    def __init__(self, keys: Sequence[Key] = ()) -> None:
        self.keys = tuple(keys)

    @classmethod
    def read(cls, path: Path) -> Keyring:
        """Read a file of keys.

        Raises:
            ConfigError: it is missing or holds anything else.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeError) as error:
            raise ConfigError(
                f"{path}: can't be read; make keys with clusterseq keys {path} --add NAME"
            ) from error
        return cls(
            [_parsed(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
        )

    @classmethod
    def guarding(cls, path: Path) -> Keyring:
        """The same for a service, which a file without a key would open to everybody.

        Raises:
            ConfigError: it is missing, empty or holds anything else.
        """
        keyring = cls.read(path)
        if keyring.open:
            raise ConfigError(
                f"{path}: holds no key, so nobody could call; make one with clusterseq keys {path} "
                "--add NAME"
            )
        return keyring

    @property
    def open(self) -> bool:
        """Whether no key is asked for."""
        return not self.keys

    def find(self, given: str) -> Key | None:
        """The key that was given, if it is one of these."""
        digest = _digest(given)
        matched = None
        for key in self.keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(key.sha256, digest):
                matched = key
        return matched


def add_key(path: Path, name: str, scopes: Iterable[str]) -> str:
    """Add a key to a file, which only its owner may read; returns the key, to be shown once.

    Raises:
        ConfigError: a scope is unknown, the name taken or unreadable, or the file can't be written.
    """
    if not name.strip() or not name.isprintable():
        raise ConfigError(f"a key can't be named {name!r}; give a name that can be read in a list")
    requested = tuple(dict.fromkeys(scopes))
    if unknown := sorted(set(requested) - set(SCOPES)):
        raise ConfigError(f'there is no scope "{unknown[0]}"; give some of {", ".join(SCOPES)}')
    if not requested:
        raise ConfigError(f"a key without a scope opens nothing; give some of {', '.join(SCOPES)}")
    if path.exists() and any(key.name == name for key in Keyring.read(path).keys):
        raise ConfigError(f"{path}: {name} has a key already; choose another name")
    secret = PREFIX + secrets.token_urlsafe(32)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            if path.read_bytes()[-1:] not in (b"", b"\n"):  # somebody has edited it
                file.write("\n")
            file.write(json.dumps(asdict(Key(name, _digest(secret), requested))) + "\n")
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; choose another place", code="output"
        ) from error
    return secret


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(path: Path, number: int, line: str) -> Key:
    try:
        entry = json.loads(line)
        key = Key(str(entry["name"]), str(entry["sha256"]), tuple(entry["scopes"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{path}, line {number}: not a key; make keys with clusterseq keys {path} --add NAME"
        ) from error
    if not set(key.scopes) <= set(SCOPES) or not SHA256.fullmatch(key.sha256):
        raise ConfigError(f"{path}, line {number}: a key with an unknown scope or hash; remove it")
    return key
