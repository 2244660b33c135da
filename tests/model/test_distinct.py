"""Distinct values are numpy's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refmaker.model.distinct import distinct


@given(st.lists(st.integers(-(2**62), 2**62)), st.sampled_from(["i8", "i4", "u1", ">i2"]))
def test_as_of_numpy(values, dtype):
    array = np.array(values, np.int64).astype(dtype).reshape(-1)
    found = distinct(array)
    assert found.tolist() == np.unique(array).tolist()
    assert found.dtype == array.dtype


def test_of_more_dimensions():
    assert distinct(np.array([[3, 1], [1, 2]])).tolist() == [1, 2, 3]


def test_masked_arrays_are_not_loaded():
    code = (
        "import sys, numpy; from refmaker.model.distinct import distinct;"
        " distinct(numpy.arange(3)); print('numpy.ma' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
