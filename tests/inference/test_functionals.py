"""openSMILE's functionals of real speech."""

import numpy as np
import pytest

from lssed_hf.inference.classifiers.svm import FunctionalsExtractor


def test_real_functionals(real_clips):
    pytest.importorskip("opensmile", reason="opensmile, whose licence is for research alone, is not installed")
    for name, size in (("eGeMAPSv02", 88), ("ComParE_2016", 6373)):
        values = FunctionalsExtractor(name).extract(real_clips[0])
        assert values.shape == (size,) and values.dtype == np.float32 and np.isfinite(values).all()
