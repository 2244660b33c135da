"""Headers: every element as pydicom reads it, whatever the encoding; located errors."""

from __future__ import annotations

import io
import shutil
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from refmaker.errors import FormatError, RefmakerError, TruncatedError, UnknownFormatError
from refmaker.io.source import Source
from refmaker.model.report import Cost
from refmaker.scanners.dicom.declared import resembles
from refmaker.scanners.dicom.header import Failure, Header, read_header, read_headers
from refmaker.scanners.dicom.tags import vr_of
from tests.scanners.dicom.dicom_files import (
    NATIVE,
    dataset,
    image,
    nested,
    random_pixels,
    refusal,
    write,
)

IMPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
SYNTAXES = (NATIVE, IMPLICIT, BIG, DEFLATED)
NUMBERS = {"DS", "FD", "FL", "IS", "US", "SS", "UL", "SL", "UV", "SV"}
TEXTS = {"AE", "AS", "CS", "DA", "DT", "LO", "PN", "SH", "TM", "UI", "UC"}
SENTINEL = "ZEBRASTRIPE"


def header_of(path, wanted=None):
    with Source(path) as source:
        return read_header(source, wanted)


def plain(value):
    if value is None or value == "":
        return []
    several = isinstance(value, (pydicom.multival.MultiValue, list, tuple))
    return list(value) if several else [value]


def differences(ours, theirs):  # noqa: C901 - one branch for each kind of value
    """Yield what pydicom's data set holds otherwise, sequences included."""
    for element in theirs:
        tag = int(element.tag)
        if tag >> 16 >= 0x7FE0:
            continue
        if tag not in ours:
            yield f"{element.tag} is missing"
            continue
        if element.VR == "SQ":
            items = ours.items(tag)
            if len(items) != len(element.value):
                yield f"{element.tag}: {len(items)} items, {len(element.value)}"
            for a, b in zip(items, element.value, strict=False):
                yield from differences(a, b)
        elif tag >> 16 & 1:
            continue  # whose dictionary pydicom has for some
        elif element.VR in NUMBERS:
            if [float(v) for v in plain(element.value)] != (ours.numbers(tag) or []):
                yield f"{element.tag}: {ours.numbers(tag)}"
        elif element.VR in TEXTS:
            mine = [str(v).strip() for v in ours.values(tag)]
            if mine != [str(v).strip(" \0") for v in plain(element.value)]:
                yield f"{element.tag}: {mine}"
        elif element.VR in ("OB", "OW", "UN") and ours.raw(tag) != element.value:
            yield f"{element.tag}: bytes"


def everything(syntax):
    """Return an instance with elements of all kinds."""
    made = image(random_pixels((1, 4, 4), np.uint16), syntax)
    made.SpecificCharacterSet = "ISO_IR 100"
    made.PatientName = "Müller^Jürgen"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.ImagePositionPatient = [-1.5, 2.25, 1e-3]
    made.InstanceNumber = 7
    made.EchoTime = None
    made.PixelPaddingValue = 5
    made.DiffusionBValue = 1000.5
    made.FrameIncrementPointer = [0x00181063, 0x00181065]
    made.RedPaletteColorLookupTableDescriptor = [256, 0, 16]
    made.RedPaletteColorLookupTableData = bytes(range(200))
    made.ContentSequence = nested(5)
    made.ReferencedImageSequence = Sequence([])
    made.ImageComments = r"one \ value"
    block = made.private_block(0x0029, "REFMAKER", create=True)
    block.add_new(1, "OB", b"\1\2\3\4")
    inner = Dataset()
    inner.PatientID = "X"
    block.add_new(2, "SQ", Sequence([inner]))
    return made


def undefined(made):
    """Give all sequences, and their items, undefined lengths."""
    for element in made:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                undefined(item)
    return made


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("loose", [False, True], ids=["defined", "undefined"])
def test_elements_are_those_of_pydicom(tmp_path, syntax, loose):
    made = everything(syntax)
    path = write(undefined(made) if loose else made, tmp_path / "a.dcm")
    header = header_of(path)
    theirs = pydicom.dcmread(path)
    assert list(differences(header, theirs)) == []
    assert {t for t in header if t >> 16 > 2} == {
        int(e.tag) for e in theirs if e.tag.group < 0x7FE0
    }
    assert header.transfer_syntax == syntax
    assert header.get(0x00100010) == "Müller^Jürgen"
    assert header.get(0x00280009) == [0x00181063, 0x00181065]
    assert header.get(0x00180081) is None
    assert header.get(0x00180081, 3) == 3
    assert header.get(0x00204000) == r"one \ value"
    assert header.warnings == ()


@pytest.mark.parametrize("syntax", [NATIVE, IMPLICIT, BIG])
def test_pixel_data_lie_where_they_are(tmp_path, syntax):
    path = write(everything(syntax), tmp_path / "a.dcm")
    pixels = header_of(path).pixels
    theirs = pydicom.dcmread(path)
    assert path.read_bytes()[pixels.offset :] == theirs.PixelData
    assert pixels.length == len(theirs.PixelData)
    assert not pixels.encapsulated


def test_pixel_data_of_deflated_files_lie_behind_the_inflated_header(tmp_path):
    path = write(everything(DEFLATED), tmp_path / "a.dcm")
    header = header_of(path)
    inflated = zlib.decompress(path.read_bytes()[header.deflated :], -15)
    pixels = header.pixels
    assert inflated[pixels.offset :][: pixels.length] == pydicom.dcmread(path).PixelData


SAMPLES = sorted(
    path
    for path in Path(get_testdata_file("CT_small.dcm")).parent.rglob("*")
    if path.is_file() and path.suffix not in (".py", ".gz", ".icc", ".json", ".txt", ".dump")
)
BROKEN = {"no_meta.dcm", "rtplan_truncated.dcm", "README"}
"""Neither is read by pydicom without force, or not to its end."""


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore")
def test_samples_are_read_as_pydicom_reads_them(path):
    if path.name in BROKEN:
        with pytest.raises(FormatError):
            header_of(path)
        return
    theirs = pydicom.dcmread(path, force=True)
    if path.name == "DICOMDIR-nooffset":
        del theirs.DirectoryRecordSequence  # its last item is cut off
    if path.name == "badVR.dcm":
        del theirs.NumberOfFrames  # no number
    assert list(differences(header_of(path), theirs)) == []


def test_only_wanted_elements_are_kept(tmp_path):
    path = write(everything(NATIVE), tmp_path / "a.dcm")
    header = header_of(path, {0x00200032})
    assert 0x00200032 in header
    assert 0x00100010 not in header
    assert header.integer(0x00280010) == 4


@pytest.mark.parametrize("size", [16 * 1024 - 40, 20_000, 70_000, 700_000])
@pytest.mark.parametrize("wanted", [None, frozenset()], ids=["all", "few"])
@pytest.mark.parametrize("loose", [False, True], ids=["defined", "undefined"])
def test_headers_larger_than_the_first_read(tmp_path, size, wanted, loose):
    made = image(random_pixels((1, 4, 4), np.uint16))
    # In front of the pixel data, one large value in a sequence and one beside it.
    inner = Dataset()
    inner.add_new(0x00420011, "OB", b"\1" * size)
    made.ContentSequence = Sequence([inner, inner])
    made.RedPaletteColorLookupTableData = b"\2" * size
    path = write(undefined(made) if loose else made, tmp_path / "a.dcm")
    header = header_of(path, wanted)
    assert path.read_bytes()[header.pixels.offset :] == made.PixelData
    if wanted is None:
        assert header.raw(0x00281201) == made.RedPaletteColorLookupTableData
        assert [len(item.get(0x00420011)) for item in header.items(0x0040A730)] == [size, size]


@pytest.mark.parametrize("syntax", [NATIVE, IMPLICIT])
def test_files_without_preamble(tmp_path, syntax):
    whole = write(everything(syntax), tmp_path / "a.dcm").read_bytes()
    for name, data in (
        ("meta", whole[132:]),
        ("bare", whole[header_of(tmp_path / "a.dcm").pixels.offset * 0 + start_of(whole) :]),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        assert 0 < resembles(data[:4096]) < 1
        header = header_of(path)
        assert header.get(0x00100010) == "Müller^Jürgen"
        assert header.warnings
        assert data[header.pixels.offset :] == pydicom.dcmread(io.BytesIO(whole)).PixelData


@pytest.mark.parametrize("syntax", [NATIVE, IMPLICIT])
def test_a_value_may_hold_the_letters_of_a_preamble(tmp_path, syntax):
    made = everything(syntax)
    for name in [name for name in made.dir() if name not in ("PixelData", "Rows", "Columns")]:
        if made[name].tag < 0x00080018:
            delattr(made, name)
    made.SpecificCharacterSet = "ISO_IR 100"
    whole = write(made, tmp_path / "a.dcm").read_bytes()
    bare = whole[start_of(whole) :]
    # A comment is put where its letters come to lie at byte 128.
    at = bare.index(b"\x08\x00\x18\x00")
    long = syntax == NATIVE
    head = b"\x08\x00\x15\x01" if at > 128 else b"\x08\x00\x08\x00"
    before = 128 - at - 8
    value = (b"A" * before + b"DICM").ljust(before + 4 + before % 2)
    length = len(value).to_bytes(2 if long else 4, "little")
    data = bare[:at] + head + (b"CS" if long else b"") + length + value + bare[at:]
    assert data[128:132] == b"DICM"
    path = tmp_path / "bare"
    path.write_bytes(data)
    header = header_of(path)
    assert "the file has no preamble" in header.warnings
    assert header.get(0x00100010) == "Müller^Jürgen"


def start_of(whole):
    """Return where the data set of a file begins."""
    return 132 + 12 + int.from_bytes(whole[140:144], "little")


def test_encoding_is_what_it_is_and_not_what_the_file_says(tmp_path):
    made = everything(IMPLICIT)
    path = write(made, tmp_path / "a.dcm")
    data = path.read_bytes().replace(b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.1", 1)
    # One byte more in an element of even length: the length is to be right, too.
    told = data.replace(
        b"UI\x12\0" + b"1.2.840.10008.1.2.1", b"UI\x14\0" + b"1.2.840.10008.1.2.1\0"
    )
    path.write_bytes(told)
    header = header_of(path)
    assert header.implicit
    assert header.get(0x00100010) == "Müller^Jürgen"
    assert any("otherwise" in text for text in header.warnings)


def test_many_files_come_in_order_and_failures_cost_nothing(tmp_path):
    good = write(everything(NATIVE), tmp_path / "good.dcm")
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(good.read_bytes()[:400])
    urls = [str(good), str(text), str(tmp_path / "gone"), str(cut), str(tmp_path)] + [
        str(good)
    ] * 200
    cost = Cost()
    found = list(read_headers(urls, cost=cost))
    assert [item.url for item in found] == urls
    assert isinstance(found[0], Header)
    assert all(isinstance(item, Failure) for item in found[1:5])
    assert isinstance(found[1].error, UnknownFormatError)
    assert isinstance(found[2].error, FileNotFoundError)
    assert isinstance(found[3].error, TruncatedError)
    assert isinstance(found[4].error, OSError)
    assert all(isinstance(item, Header) for item in found[5:])
    assert cost.requests >= 202


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_file_cut_anywhere_is_refused_or_has_no_pixel_data(tmp_path, syntax):
    made = undefined(everything(syntax))
    made.PatientName = SENTINEL
    data = write(made, tmp_path / "a.dcm").read_bytes()
    path = tmp_path / "cut.dcm"
    whole = header_of(tmp_path / "a.dcm")
    end = whole.pixels.offset if whole.deflated is None else len(data)
    outcomes = set()
    for length in range(end):
        path.write_bytes(data[:length])
        error = refusal(lambda: header_of(path))
        outcomes.add(error is None)
        if error is None:
            # Cut between two elements, it is a data set without pixels; or cut behind them.
            assert header_of(path).pixels is None or whole.deflated is not None
        else:
            assert isinstance(error, FormatError)
            assert str(path) in str(error)
            assert SENTINEL not in str(error)
    assert False in outcomes


@given(at=st.integers(0, 4000), value=st.integers(0, 255), syntax=st.sampled_from(SYNTAXES))
def test_damage_is_refused_without_telling_values(tmp_path, at, value, syntax):
    made = everything(syntax)
    made.PatientName = SENTINEL
    data = bytearray(write(made, tmp_path / "a.dcm").read_bytes())
    data[at % len(data)] = value
    path = tmp_path / "damaged.dcm"
    path.write_bytes(data)

    def read():
        header = header_of(path)
        for tag in header:
            header.get(tag)

    assert SENTINEL not in str(refusal(read))


def test_malformed_values_name_the_tag_and_not_the_value(tmp_path):
    made = dataset()
    made.add_new(0x00281053, "LO", SENTINEL)
    path = write(made, tmp_path / "a.dcm")
    path.write_bytes(
        path.read_bytes().replace(b"LO\x0c\0" + SENTINEL.encode(), b"DS\x0c\0" + SENTINEL.encode())
    )
    header = header_of(path)
    with pytest.raises(FormatError, match=r"\(0028,1053\)") as raised:
        header.get(0x00281053)
    assert SENTINEL not in str(raised.value)


def test_sequences_without_end_are_bounded(tmp_path):
    start = write(dataset(), tmp_path / "a.dcm").read_bytes()
    deep = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    path = tmp_path / "deep.dcm"
    path.write_bytes(start + deep)
    with pytest.raises(RefmakerError):
        header_of(path)


def test_what_is_no_dicom_is_refused(tmp_path):
    for i, data in enumerate((b"", b"text", bytes(200), b"\xff" * 200, b"II*\0" + bytes(200))):
        path = tmp_path / str(i)
        path.write_bytes(data)
        assert resembles(data) == 0
        with pytest.raises(UnknownFormatError):
            header_of(path)


def test_dual_files_are_dicom_first(tmp_path):
    made = everything(NATIVE)
    made.preamble = b"II*\0\x08\0\0\0" + bytes(120)
    path = write(made, tmp_path / "a.dcm")
    assert resembles(path.read_bytes()[:4096]) == 1
    assert header_of(path).tiff
    shutil.copy(path, tmp_path / "b.tif")
    assert header_of(tmp_path / "b.tif").tiff


def test_representations_are_those_of_the_dictionary():
    from pydicom.datadict import dictionary_VR

    from refmaker.scanners.dicom import tags

    for tag, vr in tags._VR.items():
        theirs = dictionary_VR(tag)
        assert vr.decode() in (theirs, "XS", "OW")
        assert vr != b"XS" or theirs == "US or SS"
    assert vr_of(0x60003000) in (b"OW", b"")
    assert vr_of(0x00091001) == b""


BLANK = b"\x28\x00\x20\x01  \x02\x00\x00\x00"
"""Pixel Padding Value with two blanks in place of its value representation."""


@pytest.mark.parametrize("behind", [0, 200_000])
def test_elements_without_a_representation_are_named(tmp_path, behind):
    path = write(image(np.zeros((1, 4, 4), np.uint16)), tmp_path / "a.dcm")
    data = path.read_bytes()
    at = data.index(b"\xe0\x7f\x10\x00OW")
    path.write_bytes(data[:at] + BLANK + data[at:] + bytes(behind))
    with pytest.raises(FormatError, match=r"\(0028,0120\) has no value representation") as raised:
        header_of(path)
    assert raised.value.offset == at
