"""Text: of varying and of fixed length, in every padding and encoding."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from refmaker.model.report import Outcome
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock

WORDS = ["", "a", "größe", "日本語", "x" * 300, "tab\tnewline\n", "\U0001f40d"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_varying_length(check, path, libver):
    utf8, ascii_ = h5py.string_dtype(), h5py.string_dtype("ascii")
    with h5py.File(path, "w", libver=libver) as f:
        f.create_dataset("words", data=WORDS, dtype=utf8)
        f.create_dataset("scalar", data="größe", dtype=utf8)
        f.create_dataset("none", data="", dtype=utf8)
        f.create_dataset("square", data=np.array(WORDS[:6], object).reshape(2, 3), dtype=utf8)
        f.create_dataset("ascii", data=["a", "bc"], dtype=ascii_)
        f.create_dataset("chunked", data=WORDS * 9, dtype=utf8, chunks=(10,), compression="gzip")
        f.create_dataset("empty", (0,), utf8)
        f.create_dataset("never", (5, 2), utf8)
        part = f.create_dataset("part", (90,), utf8, chunks=(10,))
        part[33] = "alone"
    found = check(path)
    assert found["words"].tolist() == WORDS
    assert found.outcomes["/words"] == Outcome.INLINED


def test_varying_length_with_a_fill_value(path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("d", (30,), h5py.string_dtype(), chunks=(10,), fillvalue="none")
        d[3] = "x"
        f["fine"] = ["a"]
    group, report = scan(path)
    with h5py.File(path) as f:
        try:
            true = f["d"].asstr()[...].tolist()
        except OSError:
            # HDF5 wants to write the fill value to the file's heap before it reads it.
            assert [row.path for row in report.skipped] == ["/d"]
        else:
            assert open_stock(group)["d"][...].tolist() == true
    assert "fine" in dict(group.arrays())


def test_bytes_that_are_no_utf8(check, path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("d", (3,), h5py.string_dtype("ascii"))
        d[0], d[1] = b"caf\xe9", b"fine"
    found = check(path)
    assert found["d"].tolist() == ["café", "fine", ""]
    assert any("Latin-1" in text for text in found.report.warnings)


def test_many(check, path):
    texts = [f"station {i} of many" for i in range(20_000)]
    with h5py.File(path, "w") as f:
        f["d"] = texts
    found = check(path)
    array = dict(found.group.arrays())["d"]
    assert array.chunks.size > 1


def test_beyond_the_budget_is_refused(path):
    with h5py.File(path, "w") as f:
        f["d"] = ["x" * 1000] * 100
        f["wide"] = ["x" * 90_000] * 2
        f["fine"] = ["a", "b"]
    group, report = scan(path, options=ScanOptions(inline_budget=50_000))
    assert set(dict(group.arrays())) == {"fine"}
    rows = {row.path: row for row in report.skipped}
    assert set(rows) == {"/d", "/wide"}
    assert all(row.code == "budget" and "50000" in row.reason for row in rows.values())


def fixed(file, name, padding, cset, size, values, **options):
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(size)
    kind.set_strpad(padding)
    kind.set_cset(cset)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if options:
        plist.set_chunk(options["chunks"])
        plist.set_deflate(4)
    made = h5py.h5d.create(
        file.id, name.encode(), kind, h5py.h5s.create_simple((len(values),)), plist
    )
    raw = np.array(values, f"S{size}")
    if padding == h5py.h5t.STR_SPACEPAD:
        raw = np.array([v.ljust(size) for v in values], f"S{size}")
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, raw, kind)


@pytest.mark.parametrize("padding", ["NULLTERM", "NULLPAD", "SPACEPAD"])
@pytest.mark.parametrize("cset", ["ASCII", "UTF8"])
def test_fixed_length(path, check, padding, cset):
    words = [b"", b"a", b"abcdefg", b"in the"]
    if cset == "UTF8":
        words.append("größe".encode())
    pad = getattr(h5py.h5t, f"STR_{padding}")
    if padding != "NULLTERM":
        words.append(b"eight  8")
    with h5py.File(path, "w") as f:
        code = getattr(h5py.h5t, f"CSET_{cset}")
        fixed(f, "small", pad, code, 8, words)
        fixed(f, "large", pad, code, 8, words * 200)
        fixed(f, "chunked", pad, code, 8, words * 200, chunks=(64,))
    found = check(path)
    for name in "small", "large", "chunked":
        assert found[name][: len(words)].tolist() == words
    attributes = dict(found.group.arrays())["small"].attributes
    assert attributes.get("_Encoding") == ("utf-8" if cset == "UTF8" else None)


def test_fixed_length_never_written(check, path):
    with h5py.File(path, "w") as f:
        f.create_dataset("zero", (300,), "S5", chunks=(100,))
        d = f.create_dataset("filled", (300,), "S5", chunks=(100,), fillvalue=b"abc")
        d[:100] = b"x"
    check(path)


def test_characters(check, path):
    with h5py.File(path, "w") as f:
        f["chars"] = np.array([[b"a", b"b"], [b"", b"c"]], "S1")
        f["one"] = np.bytes_(b"word")
    check(path)
