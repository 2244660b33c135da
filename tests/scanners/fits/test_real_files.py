"""Real files of other people's making, in the folder ``fits`` of a corpus; see test_corpus.py."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from refmaker.errors import RefmakerError
from refmaker.io.source import Source
from refmaker.model.report import Outcome
from refmaker.scanners.fits import FITSScanner
from refmaker.testing.reading import decode_array, open_stock
from refmaker.verification.verify import same_values
from tests.scanners.fits import files

SHARED = Path(__file__).parents[4] / "shared"
GIVEN = os.environ.get("REFMAKER_CORPUS")
FOLDERS = [Path(GIVEN)] if GIVEN else [SHARED / "corpus", SHARED / "corpus_more"]
FOUND = sorted(path for folder in FOLDERS for path in (folder / "fits").glob("*.*"))
KEPT = (Outcome.REFERENCED, Outcome.INLINED)

UNREADABLE = {
    # Headers without END, which astropy does not open either.
    "astropy__1904-66_PAR.hdr": "END",
    "astropy__1904-66_BON.hdr": "END",
}
"""Files without a primary header that can be read, and what the refusal says."""
REFUSED = {
    "astropy__ascii_i4-i20.fits": {"fits-ascii-table": 1},
    "astropy__m13_hcomp.fits": {"fits-hcompress-1": 1},
    "astropy__theap-gap.fits": {"fits-heap": 1},
    "astropy__variable_length_table.fits": {"fits-heap": 1},
    "astropy__vla_logical_null.fits": {"fits-heap": 1},
    "debcfitsio__testf77.std": {"fits-heap": 10, "fits-ascii-table": 2},
    "debcfitsio__testprog.std": {"fits-heap": 10, "fits-ascii-table": 2},
    "oiio__bomb-40000.fits": {"truncated": 1},  # 1.6 GB in 2,880 bytes
    "pillow__hopper_naxis_zero.fits": {"fits-special-records": 1},
}


def refused(path):
    return Counter(row.code for row in files.scan(path)[1].skipped)


@pytest.mark.skipif(not FOUND, reason="there is no corpus with a folder fits")
def test_real_files():
    counts = Counter()
    for path in FOUND:
        if path.name in UNREADABLE:
            with pytest.raises(RefmakerError, match=UNREADABLE[path.name]):
                files.scan(path)
            counts["unreadable"] += 1
            continue
        group, report = files.scan(path)
        assert refused(path) == REFUSED.get(path.name, {}), path.name
        arrays = dict(group.arrays())
        assert {row.path.strip("/") for row in report.having(*KEPT)} == set(arrays), path.name
        counts["refused"] += len(report.skipped)
        counts["headers"] += report.count(Outcome.GROUP)
        if not arrays:
            continue
        stock = open_stock(group)
        with Source(path) as source, FITSScanner().native(source) as native:
            for name, array in arrays.items():
                true = native.read(name, array, tuple(slice(0, n) for n in array.shape))
                assert same_values(np.asarray(decode_array(array)), true), (path.name, name)
                assert same_values(np.asarray(stock[name][...]), true), (path.name, name)
                counts["equal"] += 1
    print(dict(counts))  # noqa: T201 - shown by -s, as those of the other corpus tests
