"""Data in several files, and data written as text, against teem in SimpleITK."""

import gzip

import numpy as np
import pytest
import SimpleITK

from refmaker.io.source import Source
from refmaker.scanners.nrrd import NRRDScanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.verified import verified

VOLUME = np.arange(4 * 5 * 6, dtype=">i2").reshape(4, 5, 6)
BASIC = (
    "NRRD0004\ntype: short\ndimension: 3\nsizes: 6 5 4\nendian: big\nencoding: raw\n"
    "space: right-anterior-superior\nspace directions: (2,0,0) (0,-3,0) (0,0,0.5)\n"
    "space origin: (10,20,30.5)\n"
)
SLICES = {f"s{at}": VOLUME[at].tobytes() for at in range(4)}
ROWS = {f"r{at}": VOLUME.reshape(20, 6)[at].tobytes() for at in range(20)}
SLABS = {f"b{at}": VOLUME[2 * at : 2 * at + 2].tobytes() for at in range(2)}
LISTED = "data file: LIST"
SEVERAL = {
    "list": (f"{LISTED}\n" + "\n".join(SLICES), SLICES),
    "list_of_planes": (f"{LISTED} 2\n" + "\n".join(SLICES), SLICES),
    "list_of_rows": (f"{LISTED} 1\n" + "\n".join(ROWS), ROWS),
    "list_of_slabs": (f"{LISTED} 3\n" + "\n".join(SLABS), SLABS),
    "pattern": ("data file: s%d 0 3 1", SLICES),
    "pattern_of_slabs": ("datafile: b%d 0 1 1 3", SLABS),
    "from_the_end": ("byte skip: -1\ndata file: s%d 0 3 1",
                     {name: b"abc" + data for name, data in SLICES.items()}),
    "skips": ("line skip: 1\nbyte skip: 2\ndata file: s%d 0 3 1",
              {name: b"abc\nxy" + data for name, data in SLICES.items()}),
}  # fmt: skip
WORDS = " ".join(map(str, VOLUME.ravel().tolist()))
DIGITS = VOLUME.tobytes().hex()
TEXTS = {
    "ascii": ("ascii", WORDS),
    "text": ("text", WORDS.replace(" ", ",\n")),
    "txt": ("txt", f"{WORDS} 7 8"),
    "hex": ("hex", DIGITS),
    "hex_lines": ("hex", "\n".join(DIGITS[at : at + 40] for at in range(0, len(DIGITS), 40))),
    "hex_upper": ("hex", f"{DIGITS.upper()}00ff"),
}


def scan(path, **fields):
    with Source(path) as source:
        return NRRDScanner().scan(source, ScanOptions(inline_threshold=0, **fields))


def write(folder, header, files):
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "x.nhdr").write_text(f"{header}\n")
    return folder / "x.nhdr"


@pytest.mark.parametrize("case", SEVERAL)
def test_several_files(case, tmp_path):
    told, files = SEVERAL[case]
    path = write(tmp_path, BASIC + told, files)
    group, report = scan(path)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)
    assert sorted(report.sources) == sorted(str(tmp_path / name) for name in files)
    image = SimpleITK.ReadImage(str(path), imageIO="NrrdImageIO")
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), VOLUME)
    verified(path, inline_threshold=0)


def test_files_are_cut_on_their_own(tmp_path):
    path = write(tmp_path, f"{BASIC}data file: s%d 0 3 1", SLICES)
    group, _ = scan(path, chunk_bytes=12)
    assert group["data"].chunk_shape == (1, 1, 6)
    assert group["data"].chunks.size == 20
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)


def test_a_pattern_that_counts_down(tmp_path):
    path = write(tmp_path, f"{BASIC}data file: s%d 3 0 -1", SLICES)
    group, _ = scan(path)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME[::-1])
    verified(path)


def test_several_compressed_files(tmp_path):
    packed = {name: gzip.compress(data) for name, data in SLICES.items()}
    header = BASIC.replace("raw", "gzip")
    path = write(tmp_path, f"{header}data file: s%d 0 3 1", packed)
    group, _ = scan(path)
    assert group["data"].chunk_shape == (1, 5, 6)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)
    verified(path)


@pytest.mark.parametrize("short", [b"", b"x" * 59])
def test_one_file_that_is_too_short(short, tmp_path):
    path = write(tmp_path, f"{BASIC}data file: s%d 0 3 1", SLICES | {"s2": short})
    group, report = scan(path)
    assert not group.members
    assert (report.skipped[0].code, "s2" in report.skipped[0].reason) == ("truncated", True)


@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.parametrize("case", TEXTS)
def test_data_as_text(case, attached, tmp_path):
    encoding, text = TEXTS[case]
    header = BASIC.replace("raw", encoding)
    if attached:
        path = write(tmp_path, f"{header}\n{text}", {})
    else:
        path = write(
            tmp_path, f"{header}line skip: 1\ndata file: d", {"d": b"no\n" + text.encode()}
        )
    group, report = scan(path)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)
    assert not len(report.skipped)
    image = SimpleITK.ReadImage(str(path), imageIO="NrrdImageIO")
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), VOLUME)
    if case not in ("text", "txt"):  # pynrrd knows blanks alone, and takes all there is
        verified(path)


@pytest.mark.parametrize("dtype", ["signed char", "uint64", "float", "double"])
def test_types_of_text(dtype, tmp_path):
    code = {"signed char": "i1", "uint64": "u8", "float": "f4", "double": "f8"}[dtype]
    values = np.array([1, 2, 3, 100], code)
    if code == "u8":
        values[3] = 2**64 - 1
    if code[0] == "f":
        values[:] = [0.1, -1e-30, np.inf, np.nan]
    text = " ".join(map(repr, values.tolist()))
    header = f"NRRD0004\ntype: {dtype}\ndimension: 1\nsizes: 4\nencoding: ascii\n\n{text}"
    group, _ = scan(write(tmp_path, header, {}))
    assert np.array_equal(open_stock(group)["data"][...], values, equal_nan=code[0] == "f")


@pytest.mark.parametrize(
    ("encoding", "text", "said"),
    [
        ("ascii", WORDS[:-4], "119 values"),
        ("ascii", WORDS.replace("17", "40000"), "is no"),
        ("ascii", WORDS.replace("17", "1.5"), "no numbers"),
        ("ascii", WORDS.replace("17", "99999999999999999999"), "no numbers"),
        ("ascii", "1" + " " * 10**6, "120 values as 1000002 bytes of text"),
        ("hex", DIGITS[:-2], "119 values"),
        ("hex", DIGITS.replace("11", "xy"), "no hexadecimal digits"),
        ("hex", f"\xe9{DIGITS}", "no hexadecimal digits"),
    ],
)
def test_text_that_is_refused(encoding, text, said, tmp_path):
    header = BASIC.replace("raw", encoding)
    group, report = scan(write(tmp_path, f"{header}\n{text}", {}))
    assert not group.members
    assert said in report.skipped[0].reason


def test_text_beyond_the_budget(tmp_path):
    path = write(tmp_path, f"{BASIC.replace('raw', 'hex')}\n{DIGITS}", {})
    _, report = scan(path, inline_budget=100)
    assert (report.skipped[0].code, "inline_budget" in report.skipped[0].reason) == ("nrrd-text", 1)
