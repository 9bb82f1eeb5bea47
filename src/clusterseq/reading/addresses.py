"""Parquet by its address, in an object storage or on the web, and what may go wrong on the way.

polars fetches it, with the credentials, the region and the endpoint that the environment names, as
the storages' own programs do.

Knows nothing about: what the files hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from clusterseq.errors import DataError

SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "http", "https", "hf")
CREDENTIALS = {"s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"}
"""What the environment has to name, where it is always the same."""
NOBODYS = re.compile("/latest/(api/token|meta-data)")
"""Where machines in a cloud are told who they are: asked where the environment says nothing."""


def is_address(source: str) -> bool:
    """Whether something is read by its address.

    >>> is_address("s3://bucket/clicks/*.parquet"), is_address("clicks.parquet")
    (True, False)
    """
    return source.partition("://")[0] in SCHEMES


@contextmanager
def fetching(address: str) -> Iterator[None]:
    """Say what to do about whatever keeps a storage from handing something out.

    Raises:
        DataError: there is no such bucket or file, the storage refuses, or nobody answers.
    """
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        advice = advice_on(address, error)
        if advice is None:
            raise
        raise DataError(f"{address}: {advice}") from error


def advice_on(address: str, error: Exception) -> str | None:
    """What was wrong, and what to do; None where the file itself is at fault."""
    text = str(error)
    match = re.search(r"<Code>(\w+)</Code>", text)
    code = match[1] if match else ""
    variables = CREDENTIALS.get(address[:2], "the storage's credentials")
    if NOBODYS.search(text):
        return f"no credentials were found; set {variables} in the environment"
    if code == "NoSuchBucket":
        return "there is no such bucket; check its name and AWS_ENDPOINT_URL"
    if isinstance(error, FileNotFoundError):
        return "no such file; check the address (that of a folder ends in /)"
    if "expanded paths were empty" in text:
        return "no file matches; check the pattern"
    if "different file extensions" in text:
        return "not all files there are Parquet; give a pattern such as …/**/*.parquet"
    if isinstance(error, PermissionError) or "403 Forbidden" in text:
        reason = code or "403 Forbidden"
        return f"the storage refuses ({reason}); check {variables} in the environment"
    if isinstance(error, ConnectionError) or "error sending request" in text:
        return "nobody answers there; check the address, AWS_ENDPOINT_URL and the network"
    return f"can't be fetched ({_short(text)}); try again" if "object-store error" in text else None


def _short(text: str) -> str:
    """The reason without the polite words around it."""
    return " ".join(text.removeprefix("object-store error: ").split())[:200]
