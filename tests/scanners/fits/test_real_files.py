"""What real files of other people's making have that is refused, by name; see test_corpus.py."""

from collections import Counter

import pytest

from refmaker.errors import RefmakerError
from tests.corpora import CORPORA
from tests.scanners.fits import files

FOUND = sorted(path for folder in CORPORA for path in (folder / "fits").glob("*.*"))

UNREADABLE = {
    # Headers without END, which astropy does not open either.
    "astropy__1904-66_PAR.hdr": "END",
    "astropy__1904-66_BON.hdr": "END",
}
"""Files without a primary header that can be read, and what the refusal says."""
REFUSED = {
    "oiio__bomb-40000.fits": {"truncated": 1},  # 1.6 GB in 2,880 bytes
    "pillow__hopper_naxis_zero.fits": {"fits-special-records": 1},
}


@pytest.mark.skipif(not FOUND, reason="the corpus is not there; see REFMAKER_CORPUS")
def test_refusals():
    for path in FOUND:
        if path.name in UNREADABLE:
            with pytest.raises(RefmakerError, match=UNREADABLE[path.name]):
                files.scan(path)
        else:
            refused = Counter(row.code for row in files.scan(path)[1].skipped)
            assert refused == REFUSED.get(path.name, {}), path.name
