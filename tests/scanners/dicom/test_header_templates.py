"""Headers that are alike are read by comparison; nobody may be able to tell from what is read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from refmaker.io.source import Source
from refmaker.model.report import Fingerprint
from refmaker.scanners.dicom import header as module
from refmaker.scanners.dicom.agreement import differing
from refmaker.scanners.dicom.header import Failure, Header, read_header, read_headers
from refmaker.scanners.dicom.parsed_tags import PARSED_TAGS
from tests.scanners.dicom.dicom_files import NATIVE, image

IMPLICIT, BIG, RLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"
SHOWN = ("transfer_syntax", "implicit", "big", "charset", "pixels", "tiff", "tail", "warnings")
PIXELS = np.arange(4, dtype="<u2").reshape(1, 2, 2)


def encoded(syntax, values):
    """Return a file whose elements hold these values; None leaves one out."""
    name, number, position, extra, inner, undefined, rows = values
    pixels = np.resize(PIXELS, (1, rows, 2))
    raw = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0"
    made = image(pixels, syntax, raw=raw if syntax == RLE else None)
    if syntax == RLE:
        made["PixelData"].is_undefined_length = True
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"1.2.{number}"
    made.PatientName, made.InstanceNumber = name, number
    made.ImagePositionPatient = position
    block = made.private_block(0x09, "SOMEBODY", create=True)
    block.add_new(1, "UN", b"\0\1")
    block.add_new(2, "OB", extra)
    item = Dataset()
    item.ReferencedSOPInstanceUID = inner
    item.is_undefined_length_sequence_item = undefined
    made.SourceImageSequence = Sequence([item])
    made["SourceImageSequence"].is_undefined_length = undefined
    if len(extra) == 6:
        made.SliceLocation = 1.5
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()


def outcome(found):
    """Return all that is known of a file."""
    if isinstance(found, Failure):
        return type(found.error), str(found.error)
    return list(found.elements.items()), [getattr(found, name) for name in SHOWN], found.fingerprint


def one_by_one(url, wanted):
    with Source(url) as source:
        try:
            return read_header(source, wanted)
        except Exception as error:  # noqa: BLE001 - compared below
            return Failure(str(url), error)


SOME = st.tuples(
    st.sampled_from(["A^B", "Longer^Name", ""]),
    st.integers(0, 10**6),
    st.lists(st.integers(-9999, 9999), min_size=3, max_size=3),
    st.binary(max_size=6).map(lambda b: b + b"\0" * (len(b) % 2)),
    st.sampled_from(["1.2", "1.2.3.4.5"]),
    st.booleans(),
    st.sampled_from([2, 2, 2, 3]),
)


@pytest.mark.parametrize("syntax", [NATIVE, IMPLICIT, BIG, RLE])
@given(st.lists(SOME, min_size=2, max_size=8), st.data())
def test_headers_are_those_that_a_walk_finds(tmp_path, syntax, values, data):
    urls = []
    for number, one in enumerate(values):
        content = bytearray(encoded(syntax, one))
        for _ in range(data.draw(st.sampled_from([0, 0, 0, 1, 3]))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        if data.draw(st.integers(0, 9)) == 0:
            del content[data.draw(st.integers(1, len(content))) :]
        urls.append(str(tmp_path / str(number)))
        (tmp_path / str(number)).write_bytes(content)
    for wanted in (None, PARSED_TAGS):
        found = list(read_headers(urls, None, wanted))
        for url, one in zip(urls, found, strict=True):
            assert outcome(one) == outcome(one_by_one(url, wanted))
        headers = [one for one in found if isinstance(one, Header)]
        if headers:
            sets = [set(one.elements.items()) for one in headers]
            apart = set.union(*sets) - set.intersection(*sets)
            assert differing(headers) == {tag for tag, _ in apart}


def slices(tmp_path, count):
    for number in range(count):
        values = ("A^B", number, [0, 0, number / 4], b"\0" * 4, f"1.2.{number}", True, 2)
        (tmp_path / f"{number:04d}").write_bytes(encoded(NATIVE, values))
    return [str(path) for path in sorted(tmp_path.iterdir())]


def test_few_slices_of_a_series_are_walked_over(tmp_path, monkeypatch):
    walked = []
    walk = module._Reading.header

    def counted(self, wanted):
        walked.append(self.url)
        return walk(self, wanted)

    monkeypatch.setattr(module._Reading, "header", counted)
    found = list(read_headers(slices(tmp_path, 200)))
    assert len(walked) < 6
    assert len({header.form for header in found}) == 1
    assert {0x00080018, 0x00200013, 0x00200032} < found[0].form.blanks
    assert 0x00280010 not in found[0].form.blanks
    rows = {id(header.elements[0x00280010]) for header in found}
    assert len(rows) == 1


def test_files_of_all_kinds_cost_little_more_than_walks(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(
        "refmaker.scanners.dicom.header_templates._fields", lambda *_, **__: tried.append(1) or None
    )
    found = list(read_headers(slices(tmp_path, 200)))
    assert all(header.form is None for header in found)
    assert len(tried) == 64


def test_headers_without_a_form_are_compared_whole():
    def header(number, **elements):
        content = {int(tag[1:], 16): (b"LO", value) for tag, value in elements.items()}
        return Header(str(number), Fingerprint(1), content, transfer_syntax="", implicit=True,
                      big=False)  # fmt: skip

    one = header(1, t00100010=b"A", t00100020=b"1")
    two = header(2, t00100010=b"A", t00100020=b"2")
    three = header(3, t00100010=b"A")
    assert differing([one]) == frozenset()
    assert differing([one, two]) == {0x00100020}
    assert differing([one, three]) == {0x00100020}
    assert differing([three, one]) == {0x00100020}
