"""Settings of the whole suite."""

from __future__ import annotations

from hypothesis import settings

# The same examples at every run and no limit per example, so that a busy machine fails no test.
settings.register_profile("clusterseq", derandomize=True, deadline=None)
settings.load_profile("clusterseq")
