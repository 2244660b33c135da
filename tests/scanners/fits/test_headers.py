"""Header cards and units, as astropy reads them."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from refmaker.errors import FormatError, LimitError, RefmakerError, TruncatedError
from refmaker.model.report import Outcome
from refmaker.scanners.fits import hdus
from refmaker.scanners.fits.cards import parse_card
from refmaker.scanners.fits.header import read_header
from tests.scanners.fits import files

EMPTY = ("BITPIX  =                    8", "NAXIS   =                    0")
EXTENSION = "XTENSION= 'IMAGE   '"


def attributes(path):
    return dict(files.scan(path)[0].attributes)


def test_values_are_those_of_astropy(tmp_path):
    unit = fits.PrimaryHDU()
    unit.header["TEXT"] = "it's /not/ a comment", "but this is"
    unit.header["EMPTY"] = ""
    unit.header["WHOLE"] = -17, "text / with a slash"
    unit.header["REAL"] = 6.02214076e23
    unit.header["TRUE"], unit.header["FALSE"] = True, False
    unit.header["LONG"] = "0123456789 it's " * 20
    unit.header["HIERARCH ESO DET CHIP1 ID"] = "ccd-17"
    unit.header["HIERARCH lower case"] = 2.5
    unit.header["UNDEF"] = None
    unit.header["COMPLEX"] = 1.5 - 2j
    unit.header["HISTORY"] = "first"
    unit.header["HISTORY"] = "second"
    unit.header["COMMENT"] = "a remark"
    found = attributes(files.write(tmp_path / "a.fits", unit))
    for name in ("TEXT", "EMPTY", "WHOLE", "REAL", "TRUE", "FALSE", "LONG", "UNDEF"):
        assert found[name] == unit.header[name] or unit.header[name] is fits.card.UNDEFINED, name
    assert found["ESO DET CHIP1 ID"] == "ccd-17"
    assert found["lower case"] == 2.5
    assert found["UNDEF"] is None
    assert found["COMPLEX"] == [1.5, -2.0]
    assert found["HISTORY"] == "first\nsecond"
    assert found["COMMENT"] == "a remark"
    assert not {"SIMPLE", "BITPIX", "NAXIS", "EXTEND"} & found.keys()


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300))
def test_texts_of_any_length(text):
    header = fits.Header()
    header["KEY"] = text
    raw = header.tostring().encode()
    found = read_header(Memory(raw), 0, 2**20).keywords["KEY"]
    assert found == header["KEY"].rstrip(" ")


@given(st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers(number):
    card = fits.Card("KEY", number)
    assert parse_card(str(card)).value == fits.Card.fromstring(str(card)).value


@pytest.mark.parametrize(
    ("text", "value", "clean"),
    [
        ("KEY     =                1D3 / d", 1000.0, True),
        ("KEY     = 'a''b  '   / c", "a'b", True),
        ("KEY     = 2001-01-01T00:00:00 / no quotes", "2001-01-01T00:00:00", False),
        ("KEY     = 1E999", "1E999", False),
        ("KEY     = 'never closed", "'never closed", False),
        ("KEY     =", None, True),
        ("KEY     =3", 3, True),
    ],
)
def test_odd_cards(text, value, clean):
    card = parse_card(text.ljust(80))
    assert (card.value, card.clean) == (value, clean)


def test_continue_without_a_text_before_it_is_kept(tmp_path):
    path = tmp_path / "a.fits"
    path.write_bytes(files.simple(*EMPTY, "A       = 'closed'", "CONTINUE  'orphan'"))
    assert attributes(path) == {"A": "closed", "CONTINUE": "orphan"}
    path.write_bytes(files.simple(*EMPTY, "A       = 'open&'", "CONTINUE  'ed&'", "B       = 1"))
    assert attributes(path)["A"] == "opened&"


def test_repeated_and_unclear_keywords_are_told(tmp_path):
    path = tmp_path / "a.fits"
    path.write_bytes(files.simple(*EMPTY, "A       = 1", "A       = 2", "B       = x y"))
    group, report = files.scan(path)
    assert group.attributes == {"A": 1, "B": "x y"}
    assert any("first value" in text and "A" in text for text in report.warnings)
    assert any("kept as text: B" in text for text in report.warnings)


def test_every_unit_has_a_row_and_a_name(tmp_path):
    path = tmp_path / "a.fits"
    names = (
        ("'SCI'", 1), ("'SCI'", 2), ("'SCI'", 2), ("'a/b'", 1), ("'..'", 1), ("'data'", 1), ("", 1)
    )  # fmt: skip
    units = [
        files.cards(EXTENSION, *EMPTY, f"EXTNAME = {name}", f"EXTVER  = {version}")
        for name, version in names
    ]
    path.write_bytes(files.simple(*EMPTY) + b"".join(units))
    group, report = files.scan(path)
    wanted = ["SCI", "SCI_2", "SCI_2_HDU3", "a_b", "_..", "data_HDU6", "HDU7"]
    assert list(group.members) == wanted
    assert [row.path for row in report.rows] == ["/", *(f"/{name}" for name in wanted)]
    assert len(report.warnings) == 4


def test_a_damaged_extension_costs_what_follows_it_and_is_located(tmp_path):
    path = tmp_path / "a.fits"
    good = files.cards(EXTENSION, *EMPTY, "EXTNAME = 'GOOD'")
    bad = files.cards(EXTENSION, "BITPIX  = 7", "NAXIS   = 1", "NAXIS1  = 3")
    path.write_bytes(files.simple(*EMPTY) + good + bad + good)
    group, report = files.scan(path)
    assert list(group.members) == ["GOOD"]
    (row,) = report.skipped
    assert (row.path, row.code) == ("/HDU2", "fits-header")
    assert "BITPIX is 7" in row.reason
    assert "byte 5760" in row.reason


@pytest.mark.parametrize(
    "lines",
    [
        ("BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 3"),
        ("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = -3"),
        ("BITPIX  = 8", "NAXIS   = 1000000000000"),
        ("BITPIX  = 12", "NAXIS   = 0"),
        ("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 3", "PCOUNT  = -9"),
        ("NAXIS   = 0",),
    ],
)
def test_primary_headers_that_make_no_sense(tmp_path, lines):
    path = tmp_path / "a.fits"
    path.write_bytes(files.simple(*lines))
    with pytest.raises(FormatError) as caught:
        files.scan(path)
    assert caught.value.offset == 0


def test_a_header_without_end(tmp_path):
    path = tmp_path / "a.fits"
    path.write_bytes(files.simple(*EMPTY).replace(b"END", b"   "))
    with pytest.raises(TruncatedError, match="END"):
        files.scan(path)


def test_endless_headers_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(hdus, "_HEADERS", 2880 * 40)
    path = tmp_path / "a.fits"
    path.write_bytes(b"SIMPLE  =".ljust(80) + b"COMMENT x".ljust(80) * 36 * 400)
    with pytest.raises(LimitError):
        files.scan(path)
    path.write_bytes(files.simple(*EMPTY) + files.cards(EXTENSION, *EMPTY) * 100)
    _, report = files.scan(path)
    assert report.rows[-1].outcome is Outcome.SKIPPED
    assert len(report.rows) == 41


def test_what_follows_the_last_unit_is_told(tmp_path):
    path = tmp_path / "a.fits"
    path.write_bytes(files.simple(*EMPTY) + b"special records".ljust(2880))
    (row,) = files.scan(path)[1].skipped
    assert row.code == "fits-special-records"
    path.write_bytes(files.simple(*EMPTY) + bytes(2880))
    assert not files.scan(path)[1].skipped


class Memory:
    """A source of bytes, without a file."""

    def __init__(self, raw):
        self.raw, self.size = raw, len(raw)

    def read_upto(self, offset, length):
        return self.raw[offset : offset + length]


VALUES = st.one_of(
    st.integers(-(10**17), 10**17),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=100),
)
NAMES = st.from_regex("Q[A-Z0-9_-]{0,6}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=50), st.text("ab /'=&", max_size=200))
def test_any_header_is_that_of_astropy(keywords, text):
    unit = fits.PrimaryHDU()
    unit.header.update(keywords)
    unit.header["HISTORY"] = text
    with files.temporary(unit) as path:
        found = attributes(path)
        with files.in_memory(path) as opened:
            true = opened[0].header
    for name, value in keywords.items():
        # Of texts what was written: astropy ends some of them at a slash behind a quote.
        assert found[name] == (value.rstrip(" ") if isinstance(value, str) else true[name])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_headers_are_refused_where_they_are_damaged(data):
    whole = bytearray(MADE)
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    whole = whole[: data.draw(st.integers(0, len(whole)))]
    with files.temporary(fits.PrimaryHDU()) as path:
        path.write_bytes(whole)
        try:
            group, report = files.scan(path)
        except RefmakerError as error:
            assert error.offset is not None or error.url  # noqa: PT017 - the damage decides
            return
    for name, array in group.arrays():
        for number in range(array.chunks.size):
            found = array.chunks.get(number)
            if hasattr(found, "offset"):
                assert found.offset + found.length <= len(whole), name
    assert len(report.rows) >= 1


def made():
    """Return a file with a bit of everything."""
    lists = np.array([np.arange(i % 4) for i in range(40)], dtype=object)
    table = [fits.Column("x", "J", array=np.arange(40)), fits.Column("v", "PJ()", array=lists)]
    text = [fits.Column("x", "F9.3", array=np.arange(9.0))]
    image = np.arange(400, dtype="i2").reshape(20, 20)
    units = [
        fits.PrimaryHDU(image),
        fits.CompImageHDU(image, name="RICE"),
        fits.BinTableHDU.from_columns(table, name="EVENTS"),
        fits.TableHDU.from_columns(text, name="TEXT"),
    ]
    with files.temporary(*units) as path:
        return path.read_bytes()


MADE = made()
