"""A stand-in for the package opensmile, whose licence keeps it out of `dev`: eight functionals by numpy."""

import enum
import itertools
import sys
from types import ModuleType

import numpy as np
import pytest

from lssed_hf.inference.classifiers import svm as classical


class FeatureSet(enum.Enum):
    eGeMAPSv02 = "eGeMAPSv02"
    ComParE_2016 = "ComParE_2016"


class FeatureLevel(enum.Enum):
    Functionals = "Functionals"


class Frame:
    def __init__(self, values: np.ndarray):
        self.values = values

    def to_numpy(self, dtype=None) -> np.ndarray:
        return self.values.astype(dtype)


class Smile:
    """Level, zero crossings, and the log energy of six bands; one more functional that is always 1."""

    def __init__(self, feature_set: FeatureSet, feature_level: FeatureLevel):
        assert isinstance(feature_set, FeatureSet) and feature_level is FeatureLevel.Functionals

    def process_signal(self, signal: np.ndarray, sampling_rate: int) -> Frame:
        assert sampling_rate == 16000
        if len(signal) < 960:
            return Frame(np.full((1, 9), np.nan))
        power = np.abs(np.fft.rfft(signal)) ** 2
        edges = np.searchsorted(np.fft.rfftfreq(len(signal), 1 / 16000), [0, 350, 600, 1000, 1500, 2500, 8001])
        bands = [np.log(power[low:high].mean() + 1e-9) for low, high in itertools.pairwise(edges)]
        crossings = np.mean(np.diff(np.sign(signal)) != 0)
        return Frame(np.array([[np.abs(signal).mean(), crossings, *bands, 1.0]]))


@pytest.fixture
def fake_opensmile(monkeypatch):
    """The stand-in in place of opensmile, installed or not."""
    module = ModuleType("opensmile")
    module.__version__, module.FeatureSet, module.FeatureLevel, module.Smile = "fake", FeatureSet, FeatureLevel, Smile
    monkeypatch.setitem(sys.modules, "opensmile", module)
    classical.open_smile.cache_clear()
    yield module
    classical.open_smile.cache_clear()
