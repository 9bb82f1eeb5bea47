"""Our own encoder, conditioner and clusterer keep the contracts of parts."""

from __future__ import annotations

import pytest

from clusterseq.model.clustering import KAutoencoders
from clusterseq.model.conditioning import Gates
from clusterseq.model.gru import GRU
from clusterseq.testing import ClustererContract, ConditionerContract, EncoderContract
from clusterseq.testing.parts import Build


class TestGRU(EncoderContract):
    @pytest.fixture
    def build(self) -> Build:
        return GRU


class TestGates(ConditionerContract):
    @pytest.fixture
    def build(self) -> Build:
        return Gates


class TestKAutoencoders(ClustererContract):
    @pytest.fixture
    def build(self) -> Build:
        return KAutoencoders
