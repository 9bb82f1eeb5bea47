"""The errors a user can meet, each a subclass of one base so that callers can catch them all.

A message is one line that says what was wrong, where (file, line or column, value) and what to do
about it; the command line prints it and ends with status 2, without a traceback.

Knows nothing about: what raises them.
"""

from __future__ import annotations


class ClusterSeqError(Exception):
    """Base of every error that clusterseq raises on purpose."""


class DataError(ClusterSeqError):
    """The events, the dataset or the histories can't be used as they are."""


class ConfigError(ClusterSeqError):
    """An option or a configuration file is wrong."""


class CheckpointError(ClusterSeqError):
    """A model directory is missing, damaged or of another version."""


class TrainingError(ClusterSeqError):
    """Training can't go on, for example because the loss is no longer finite."""
