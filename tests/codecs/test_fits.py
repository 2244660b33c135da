"""Codecs of FITS."""

import numpy as np
import pytest

from refmaker.codecs.fits_unsigned import FITSUnsigned
from refmaker.errors import CodecError, MetadataError


@pytest.mark.parametrize("kind", [">u2", ">u4", ">u8", "<u8"])
def test_unsigned(kind):
    true = np.array([0, 1, np.iinfo(kind).max, np.iinfo(kind).max // 2, 7], kind)
    half = 1 << (8 * true.itemsize - 1)
    stored = np.array([int(x) - half for x in true], kind.replace("u", "i"))
    found = FITSUnsigned(kind).decode(stored.tobytes())
    np.testing.assert_array_equal(np.asarray(found).view(kind), true)


def test_what_is_no_unsigned_chunk():
    with pytest.raises(MetadataError):
        FITSUnsigned(">i8")
    with pytest.raises(CodecError):
        FITSUnsigned(">u8").decode(bytes(9))
