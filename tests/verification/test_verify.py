"""Verifying finds every difference, and invents none."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from functools import partial

import numpy as np
import pytest

import refmaker
from refmaker.errors import MetadataError, SourceNotFoundError, UnknownFormatError
from refmaker.model import Array, ChunkTable, Group
from refmaker.verification.verify import same_values

verify = partial(refmaker.verify, isolate="never")
"""What is compared, and how; workers have tests of their own."""


@pytest.fixture
def file(toy, tmp_path):
    return toy.write_toy(
        tmp_path / "a.toy",
        {"x": np.arange(40, dtype=">i4"), "g/y": np.linspace(0, 1, 800).reshape(400, 2)},
    )


@pytest.fixture
def refs(file):
    return refmaker.scan(file)


def changed(refs, path, **fields):
    """Return a set whose array at the root differs."""
    array = replace(refs.group[path], **fields)
    return replace(refs, group=Group({**refs.group.members, path: array}))


def test_equal_sets_are_equal(refs, tmp_path):
    refs.write(tmp_path / "a.json")
    for given in (refs, tmp_path / "a.json", str(tmp_path / "a.json")):
        x, y = verify(given)
        assert (x.path, x.chunks, x.compared, x.equal, x.different) == ("x", 10, 10, 10, 0)
        assert (y.path, y.chunks, y.compared, y.equal, y.different) == ("g/y", 100, 16, 16, 0)
        assert x.ok
        assert y.ok
        assert x.as_dict() == {
            "path": "x", "verdict": "equal", "chunks": 10, "compared": 10, "equal": 10,
            "different": 0, "not_compared": 0, "passed_over": 0, "reason": "", "metadata": "",
            "given": 0, "edited": [],
        }  # fmt: skip


@pytest.mark.parametrize("sample", [1, 2, 3, 50, 99, 100, 101, None])
def test_as_many_chunks_as_asked_for(refs, sample):
    _, y = verify(refs, sample=sample)
    assert y.compared == min(100, sample or 100)


def test_the_choice_depends_on_the_seed_alone(refs, monkeypatch):
    seen = []
    module = __import__("sys").modules["refmaker.verification.compare"]
    inner = module._regions
    monkeypatch.setattr(
        module,
        "_regions",
        lambda array, numbers: seen.append(list(numbers)) or inner(array, numbers),
    )
    for seed in (0, 0, 1):
        verify(refs, sample=5, seed=seed)
    assert seen[1] == seen[3] != seen[5]
    assert seen[1][0] == 0
    assert seen[1][-1] == 99
    assert seen[1] == sorted(set(seen[1]))


def test_one_wrong_byte_is_found(refs):
    table = refs.group["x"].chunks
    offset = table.offset.copy()
    offset[3] += 4
    x, _ = verify(changed(refs, "x", chunks=replace(table, offset=offset)), sample=None)
    assert (x.compared, x.equal, x.different) == (10, 9, 1)
    assert x.reason == "[12:16] has other values"
    assert not x.ok


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"compressor": {"id": "zlib"}}, "cannot be read: "),
        ({"dtype": np.dtype("<i4")}, "has other values"),
        ({"dtype": np.dtype(">u4")}, "natively "),
    ],
)
def test_wrong_metadata_are_found(refs, fields, reason):
    x, y = verify(changed(refs, "x", **fields))
    assert x.different == x.compared == 10 or reason == "has other values"
    assert x.different > 0
    assert reason in x.reason
    assert y.ok


def test_an_unknown_codec_costs_one_array(refs):
    x, y = verify(changed(refs, "x", compressor={"id": "nosuch"}))
    assert not x.ok
    assert "nosuch" in x.reason
    assert y.ok


def test_absent_chunks_are_compared(toy, tmp_path):
    path = toy.write_toy(tmp_path / "s.toy", {"x": np.arange(12, dtype="i2")}, skip=(1,))
    refs = refmaker.scan(path)
    (x,) = verify(refs)
    assert (x.compared, x.equal) == (3, 3)
    (x,) = verify(changed(refs, "x", fill_value=8))
    assert (x.compared, x.equal, x.different) == (3, 2, 1)


def test_inlined_chunks_are_compared(toy, tmp_path):
    path = toy.write_toy(tmp_path / "i.toy", {"x": np.arange(3, dtype="f4")})
    refs = refmaker.scan(path)
    table = refs.group["x"].chunks
    assert table.inlined
    assert verify(refs)[0].ok
    raw = bytearray(table.inlined[0])
    raw[0] ^= 1
    (x,) = verify(changed(refs, "x", chunks=ChunkTable.inline((1,), {0: bytes(raw)})))
    assert (x.equal, x.different) == (0, 1)


def test_arrays_without_elements_are_equal(toy, tmp_path):
    path = toy.write_toy(tmp_path / "e.toy", {"e": np.zeros((0, 3))})
    refs = refmaker.scan(path)
    # Nothing points into the file, but the set says which one it was.
    (e,) = verify(refs)
    assert (e.chunks, e.compared, e.ok) == (0, 0, True)


def test_what_has_no_native_values_is_told(toy, tmp_path):
    path = toy.write_toy(tmp_path / "b.toy", {"x": np.arange(100)}, broken=True)
    (x,) = verify(refmaker.scan(path))
    assert (x.chunks, x.compared, x.equal, x.different) == (25, 0, 0, 0)
    assert x.reason == "no native values: OSError: the toy library cannot read it"
    assert not x.ok


def test_sets_that_others_wrote(refs, tmp_path):
    refs.write(tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    del document["refmaker"]
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert all(check.ok for check in verify(tmp_path / "a.json"))


def test_the_scanned_file_is_found_among_others(refs, tmp_path):
    raw = tmp_path / "external.raw"
    raw.write_bytes(bytes(1000))
    report = replace_sources(refs.report, {str(raw): None, **refs.report.sources})
    assert all(check.ok for check in verify(replace(refs, report=report)))


def replace_sources(report, sources):
    return replace(report, sources=sources)


def test_a_changed_size_is_logged(refs, file, caplog):
    with file.open("ab") as out:
        out.write(b"more")
    assert all(check.ok for check in verify(refs))
    assert "bytes when scanned, now" in caplog.text


def test_a_missing_source(refs, file):
    file.unlink()
    with pytest.raises(SourceNotFoundError):
        verify(refs)


def test_a_source_of_unknown_format(refs, file):
    file.write_bytes(b"something else")
    refs = replace(refs, report=replace(refs.report, format=""))
    with pytest.raises(UnknownFormatError):
        verify(refs)


def test_a_set_without_a_source():
    with pytest.raises(MetadataError, match="which file was scanned"):
        verify(refmaker.ReferenceSet(Group()))


def test_checks_are_frozen():
    with pytest.raises(FrozenInstanceError):
        refmaker.ArrayCheck("x", 1).equal = 1


class TestSameValues:
    def test_bits_of_nan_count(self):
        quiet, other = np.array([0x7FC00000, 0x7FC00001], "u4").view("f4")
        assert same_values(np.array([quiet]), np.array([quiet]))
        assert not same_values(np.array([quiet]), np.array([other]))

    def test_the_sign_of_zero_counts(self):
        assert not same_values(np.array([0.0]), np.array([-0.0]))

    def test_what_lies_between_fields_does_not(self):
        dtype = np.dtype({"names": ["a"], "formats": ["u1"], "offsets": [1], "itemsize": 4})
        left, right = np.zeros(2, dtype), np.ones(8, "u1").view(dtype)
        right["a"] = 0
        assert same_values(left, right)
        right["a"][1] = 1
        assert not same_values(left, right)

    @pytest.mark.parametrize(
        ("left", "right", "same"),
        [
            ("a", "a", True),
            ("a", "b", False),
            ("a", b"a", False),
            (np.arange(3), np.arange(3), True),
            (np.arange(3), np.arange(4), False),
            (np.arange(3), np.arange(3.0), False),
            (None, None, True),
        ],
    )
    def test_objects(self, left, right, same):
        boxes = np.empty(1, object), np.empty(1, object)
        boxes[0][0], boxes[1][0] = left, right
        assert same_values(*boxes) is same

    def test_layout_in_memory_does_not_count(self):
        values = np.arange(6.0).reshape(2, 3)
        assert same_values(values, np.asfortranarray(values))


def test_variable_length_texts(toy, tmp_path, refs):
    from numcodecs import VLenUTF8

    texts = np.array(["a", "", "ünï"], object)
    table = ChunkTable.inline((1,), {0: bytes(VLenUTF8().encode(texts))})
    array = Array((3,), (3,), np.dtype(object), table, filters=({"id": "vlen-utf8"},))
    refs = replace(refs, group=Group({"t": array}))

    class Native:
        def read(self, path, array, region):
            return texts[region]

    from contextlib import contextmanager

    @contextmanager
    def native(self, source):
        yield Native()

    toy.ToyScanner.native = native
    (t,) = verify(refs)
    assert (t.compared, t.equal, t.reason) == (1, 1, "")
    texts[2] = "uni"
    (t,) = verify(refs)
    assert t.different == 1
