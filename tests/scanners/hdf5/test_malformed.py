"""Broken files: an error or an account, never a crash of the caller, a hang, or gigabytes."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from refmaker.errors import FormatError, RefmakerError, WorkerError
from refmaker.model.report import Outcome
from refmaker.scanning.one_file import scan
from refmaker.testing.damage import damaged
from tests.watched import LIMIT, WatchedWorker

TIMEOUT = 4


def write(path, libver):
    rng = np.random.default_rng(4)
    with h5py.File(path, "w", libver=libver) as f:
        f.attrs["title"] = "x" * 100
        data = rng.random((64, 64)).astype("f4")
        f.create_dataset("tree", data=data, chunks=(4, 4), compression="gzip",
                         maxshape=(None, None))  # fmt: skip
        f.create_dataset("array", data=data, chunks=(4, 4), maxshape=(None, 64))
        f.create_dataset("fixed", data=data, chunks=(4, 4))
        f["g/plain"] = data
        f["g/names"] = ["some", "text", "x" * 50]
        f["g/refs"] = f["tree"].ref
        f["g/h/table"] = np.zeros(100, [("a", "i4"), ("b", "f8")])
        f["g/small"] = np.arange(5)
        f["tree"].make_scale("x")
        for i in range(12):
            f["array"].attrs[f"a{i}"] = np.arange(5.0)
        f["array"].attrs["text"] = ["a", "bc"]
        f["soft"] = h5py.SoftLink("/g")


@pytest.fixture(scope="module", params=["earliest", "v110", "latest"])
def whole(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "f.h5"
    write(path, request.param)
    return path.read_bytes()


@pytest.fixture(scope="module")
def worker():
    with WatchedWorker() as found:
        yield found


def misdeed(worker, path, data):
    """Scan bytes as a file; return what is wrong with the outcome."""
    path.write_bytes(data)
    try:
        group, report = worker.scan(path, timeout=TIMEOUT)
    except WorkerError as error:
        # The library may die of a broken file, or hang (in heaps of text); that is what the
        # worker is for. Anything else is an error that ought to have been told better.
        return "" if "died" in str(error) or "did not end" in str(error) else str(error)
    except RefmakerError as error:
        return "" if str(path) in str(error) else f"no file is named: {error}"
    arrays = {f"/{name}" for name, _ in group.arrays()}
    kept = {row.path for row in report.having(Outcome.REFERENCED, Outcome.INLINED)}
    if not kept <= arrays:
        return f"rows without arrays: {kept - arrays}"
    for name, array in group.arrays():
        table = array.chunks
        ends = table.offset.astype(float) + table.length
        if ends.size and ends.max() > len(data):
            return f"{name} reaches behind the end of the file"
    return ""


def test_truncated(whole, worker, tmp_path):
    cuts = {*range(0, 600, 24), *np.linspace(600, len(whole) - 1, 60).astype(int).tolist()}
    wrong = {n: misdeed(worker, tmp_path / "cut.h5", whole[:n]) for n in sorted(cuts)}
    assert {n: text for n, text in wrong.items() if text} == {}


def test_truncated_files_say_so(tmp_path):
    path = tmp_path / "f.h5"
    write(path, "earliest")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match="truncated") as caught:
        scan(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("flips", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_damaged(whole, worker, tmp_path, flips):
    wrong = []
    for i, data in enumerate(damaged(whole, cuts=2, flips=flips, seed=1)):
        if text := misdeed(worker, tmp_path / "broken.h5", data):
            wrong.append(f"{i}: {text}")
    assert wrong == []


SIGNATURES = [b"OHDR", b"OCHK", b"TREE", b"SNOD", b"HEAP", b"GCOL", b"FAHD", b"FADB", b"EAHD",
              b"EAIB", b"EASB", b"EADB", b"BTHD", b"BTLF", b"BTIN", b"FRHP", b"FHDB"]  # fmt: skip


def test_damaged_structures(whole, worker, tmp_path):
    rng = np.random.default_rng(8)
    wrong, hit = [], 0
    for signature in SIGNATURES:
        at = whole.find(signature)
        if at < 0:
            continue
        hit += 1
        for value in (0x00, 0xFF, 0x01, 0x80):
            for _ in range(3):
                broken = bytearray(whole)
                where = at + int(rng.integers(0, 64))
                broken[where : where + int(rng.choice([1, 2, 8]))] = bytes([value]) * 1
                if text := misdeed(worker, tmp_path / "broken.h5", bytes(broken[: len(whole)])):
                    wrong.append(f"{signature} {where - at} {value}: {text}")
    assert hit >= 3
    assert wrong == []


def test_every_byte_of_the_superblock(whole, worker, tmp_path):
    wrong = []
    for at in range(96):
        for value in (0, 255):
            broken = bytearray(whole)
            broken[at] = value
            if text := misdeed(worker, tmp_path / "broken.h5", bytes(broken)):
                wrong.append(f"{at} {value}: {text}")
    assert wrong == []


def test_memory(worker):
    assert 0 < worker.peak < LIMIT


@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(1000),
                                  b"\x89HDF\r\n\x1a\n" + b"\xff" * 1000], ids=len)  # fmt: skip
def test_nothing_but_a_signature(tmp_path, data):
    path = tmp_path / "f.h5"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"f\.h5"):
        scan(path)
