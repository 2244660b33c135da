"""Layouts and codings of data that no writer at hand makes at will, byte by byte."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest

from refmaker.errors import FormatError, LimitError
from refmaker.model.contiguous import pieces_between_cuts
from refmaker.testing.reading import decode_array
from tests.scanners.hdf4 import files
from tests.scanners.hdf4.maker import Maker

RAMP = np.arange(6000, dtype="i4").reshape(60, 100)
BIG = RAMP.astype(">i4").tobytes()
ROW = 400


def only(path, **fields):
    """Return the one array of a file, and the report."""
    group, report = files.scan(path, **fields)
    found = list(group.arrays())
    return (found[0][1] if found else None), report


def refused(path, **fields):
    array, report = only(path, **fields)
    assert array is None
    (row,) = report.skipped
    return row


def test_linked_blocks_become_chunks_between_the_cuts(tmp_path):
    made = Maker()
    parts = [BIG[: 20 * ROW], BIG[20 * ROW : 40 * ROW], BIG[40 * ROW :]]
    made.dataset(RAMP, made.linked(parts, per_table=2))
    path = made.write(tmp_path / "file.hdf")
    array, _ = only(path)
    assert array.chunk_shape == (20, 100)
    assert array.chunks.referenced == 3
    assert np.array_equal(decode_array(array), RAMP)
    assert files.unequal(path) == ([], 1)


def test_linked_blocks_with_cuts_that_no_chunk_fits_are_inlined(tmp_path):
    made = Maker()
    parts = [BIG[: ROW + 2], *(BIG[at : at + 6000] for at in range(ROW + 2, len(BIG), 6000))]
    made.dataset(RAMP, made.linked(parts))
    path = made.write(tmp_path / "file.hdf")
    array, _ = only(path)
    assert array.chunks.inlined
    assert np.array_equal(decode_array(array), RAMP)
    assert files.unequal(path) == ([], 1)
    row = refused(path, inline_budget=1000)
    assert row.code == "hdf4-linked"
    assert "inline_budget" in row.reason


def test_small_chunks_where_the_budget_is_too_small(tmp_path):
    made = Maker()
    made.dataset(RAMP, made.linked([BIG[:ROW], BIG[ROW:]]))
    array, _ = only(made.write(tmp_path / "file.hdf"), inline_budget=1000)
    assert array.chunk_shape == (1, 100)
    assert np.array_equal(decode_array(array), RAMP)


def test_blocks_that_follow_each_other_are_one_range(tmp_path):
    made = Maker(slots=64)
    refs = [made.add(20, BIG[at : at + 1000]) for at in range(0, len(BIG), 1000)]
    table = made.add(20, struct.pack(f">{len(refs) + 1}H", 0, *refs))
    head = struct.pack(">HiiiH", 1, len(BIG), 1000, len(refs), table)
    made.dataset(RAMP, made.add(702, head, special=True))
    array, _ = only(made.write(tmp_path / "file.hdf"))
    assert array.chunks.referenced == 1
    assert np.array_equal(decode_array(array), RAMP)


@pytest.mark.parametrize("budget", [10**6, 3 * 20 * ROW - 1])
def test_blocks_never_written_are_zeros(tmp_path, budget):
    made = Maker()
    made.dataset(RAMP, made.linked([BIG[: 20 * ROW], None, BIG[40 * ROW :]], block=20 * ROW))
    path = made.write(tmp_path / "file.hdf")
    array, _ = only(path, inline_budget=budget)
    true = RAMP.copy()
    true[20:40] = 0
    assert np.array_equal(decode_array(array), true)


def test_blocks_of_other_sizes_than_told_are_refused(tmp_path):
    # The library takes all but the first for as large as the header says.
    made = Maker()
    made.dataset(RAMP, made.linked([BIG[:ROW], BIG[ROW : 7 * ROW], BIG[7 * ROW :]]))
    assert "other sizes" in refused(made.write(tmp_path / "file.hdf")).reason


def test_compressed_data_in_several_places_are_inlined_as_they_are(tmp_path):
    packed = zlib.compress(BIG, 6)
    made = Maker()
    parts = [packed[:100], packed[100:]]
    coder = struct.pack(">H", 6)
    made.dataset(RAMP, made.compressed(b"", len(BIG), 4, coder, parts=parts))
    path = made.write(tmp_path / "file.hdf")
    array, _ = only(path)
    assert array.chunks.inlined == {0: packed}
    assert np.array_equal(decode_array(array), RAMP)
    assert files.unequal(path) == ([], 1)
    assert refused(path, inline_budget=100, inline_threshold=0).code == "hdf4-linked"


def szip(data, mask, *, mark=None):
    """Return data as the library compresses them: 32 bits, blocks of 8, lines of 100."""
    done = imagecodecs.szip_encode(
        data, options_mask=mask & 0xFFFF, pixels_per_block=8, bits_per_pixel=32,
        pixels_per_scanline=100, header=False,
    )  # fmt: skip
    done = data if mark else done
    return (b"" if mark is None else struct.pack(">Bi", mark, len(done))) + done


@pytest.mark.parametrize(
    ("mask", "mark"), [(141, None), (141 | 0x10000, 0), (141 | 0x10000, 1)], ids=str
)
@pytest.mark.parametrize("chunked", [False, True])
def test_szip(tmp_path, mask, mark, chunked):
    made = Maker()
    if chunked:
        parameters = struct.pack(">IIIBB", 1000, 100, mask, 32, 8)
        parts = {
            (n, 0): made.compressed(
                szip(BIG[n * 4000 : (n + 1) * 4000], mask, mark=mark), 4000, 5, parameters, tag=61
            )
            for n in range(6)
        }
        coder = struct.pack(">HH", 0, 5) + parameters
        made.dataset(RAMP, made.chunked((60, 100), (10, 100), 4, parts, coder=coder))
    else:
        parameters = struct.pack(">IIIBB", 6000, 100, mask, 32, 8)
        packed = szip(BIG, mask, mark=mark)
        made.dataset(RAMP, made.compressed(packed, len(BIG), 5, parameters))
    array, _ = only(made.write(tmp_path / "file.hdf"))
    assert array.compressor["id"] == "refmaker.hdf4_szip"
    assert array.chunks.referenced == (6 if chunked else 1)
    assert np.array_equal(decode_array(array), RAMP if not chunked else RAMP[:60])


def test_many_blocks_of_descriptors(tmp_path):
    made = Maker(slots=4)
    for number in range(300):
        made.dataset(np.full((2, 3), number, "i2"))
    path = made.write(tmp_path / "file.hdf")
    assert files.unequal(path) == ([], 300)


def test_a_block_of_many_descriptors(tmp_path):
    made = Maker(slots=5000)
    made.dataset(RAMP)
    assert files.unequal(made.write(tmp_path / "file.hdf")) == ([], 1)


def test_a_cycle_of_blocks_costs_what_lies_behind_it(tmp_path):
    made = Maker(slots=4)
    made.dataset(RAMP)
    made.dataset(RAMP)
    group, report = files.scan(made.write(tmp_path / "file.hdf", cycle=True))
    assert len(list(group.arrays())) == 2
    (row,) = report.skipped
    assert (row.path, row.code) == ("/data descriptors", "hdf4-descriptors")
    assert "cycle" in row.reason


def test_a_cycle_of_tables_costs_its_data_set(tmp_path):
    made = Maker()
    parts = [BIG[at : at + 4000] for at in range(0, 16000, 4000)]
    made.dataset(RAMP, made.linked(parts, len(BIG), per_table=2, cycle=True))
    made.dataset(RAMP[:3])
    group, report = files.scan(made.write(tmp_path / "file.hdf"))
    assert len(list(group.arrays())) == 1
    (row,) = report.skipped
    assert "cycle" in row.reason


@pytest.mark.parametrize(
    ("order", "code", "told"),
    [(2, None, "class 2"), (3, None, "class 3"), (0, None, "class 0"), (1, 7, "number type 7"),
     (1, 0, "number type 0")],
)  # fmt: skip
def test_numbers_of_other_machines_are_refused(tmp_path, order, code, told):
    made = Maker()
    made.dataset(RAMP, order=order, code=code)
    row = refused(made.write(tmp_path / "file.hdf"))
    assert row.code == "hdf4-number-type"
    assert told in row.reason


@pytest.mark.parametrize(("coder", "model"), [(7, 0), (12, 0), (6, 0), (99, 0), (4, 1)])
def test_unknown_compression_is_refused(tmp_path, coder, model):
    made = Maker()
    made.dataset(RAMP, made.compressed(b"x" * 9, len(BIG), coder, bytes(20), model=model))
    row = refused(made.write(tmp_path / "file.hdf"))
    assert row.code == "hdf4-coder"
    assert f"coder {coder}" in row.reason


@pytest.mark.parametrize("kind", [4, 6, 7, 99])
def test_unknown_special_elements_are_refused(tmp_path, kind):
    made = Maker()
    made.dataset(RAMP, made.add(702, struct.pack(">H", kind) + bytes(40), special=True))
    assert refused(made.write(tmp_path / "file.hdf")).code == "hdf4-special"


def test_variables_whose_data_lie_in_vdatas_are_refused(tmp_path):
    made = Maker()
    data = made.vdata("v", "Data0.0", [("Values", 24, 4, 1)], 3, struct.pack(">3i", 1, 2, 3))
    variable = made.vgroup("v", "Var0.0", [(1962, data)])
    made.vgroup("file", "CDF0.0", [(1965, variable)])
    made.dataset(RAMP)
    group, report = files.scan(made.write(tmp_path / "file.hdf"))
    assert len(list(group.arrays())) == 1
    (row,) = report.skipped
    assert (row.path, row.code) == ("/v", "hdf4-old-netcdf")


def test_data_that_are_too_short_are_refused(tmp_path):
    made = Maker()
    made.dataset(RAMP, made.add(702, BIG[:-4]))
    row = refused(made.write(tmp_path / "file.hdf"))
    assert "need" in row.reason


def test_data_past_the_end_of_the_file_are_refused(tmp_path):
    made = Maker()
    made.dataset(RAMP[:2])
    made.dataset(RAMP)
    path = tmp_path / "file.hdf"
    whole = made.bytes()
    path.write_bytes(whole.replace(struct.pack(">I", len(BIG)), struct.pack(">I", len(whole))))
    group, report = files.scan(path)
    assert len(list(group.arrays())) == 1
    (row,) = report.skipped
    assert row.code == "truncated"


def chunks(**how):
    made = Maker()
    parts = {(n, 0): BIG[n * 4000 : (n + 1) * 4000] for n in range(6)} | how.pop("more", {})
    made.dataset(RAMP, made.chunked((60, 100), (10, 100), 4, parts, **how))
    return made


def test_chunks_of_the_maker_are_those_of_the_library(tmp_path):
    assert files.unequal(chunks().write(tmp_path / "file.hdf")) == ([], 1)


@pytest.mark.parametrize(
    ("more", "told"),
    [({(6, 0): BIG[:4000]}, "outside"), ({(-1, 0): BIG[:4000]}, "outside"),
     ({(0, 1): BIG[:4000]}, "outside"), ({(2, 0): BIG[:3999]}, "4000 bytes"),
     ({(2, 0): 999}, "not there")],
    ids=str,
)  # fmt: skip
def test_chunks_that_cannot_be_are_refused(tmp_path, more, told):
    assert told in refused(chunks(more=more).write(tmp_path / "file.hdf")).reason


def test_chunks_listed_twice_are_refused(tmp_path):
    made = chunks()
    at = made.elements[-1]
    del at
    path = tmp_path / "file.hdf"
    twice = struct.pack(">ii", 0, 0).join([b"", b""])
    data = made.bytes().replace(struct.pack(">iiH", 1, 0, 61), struct.pack(">iiH", 0, 0, 61))
    path.write_bytes(data + twice)
    assert "twice" in refused(path).reason


def test_images_without_a_description_are_refused(tmp_path):
    made = Maker()
    made.dataset(RAMP)
    made.vgroup("picture", "RI0.0", [(302, made.add(302, b"abc"))])
    group, report = files.scan(made.write(tmp_path / "file.hdf"))
    assert len(list(group.arrays())) == 1
    (row,) = report.skipped
    assert row.path == "/picture"
    assert "without a description" in row.reason


def test_images_before_there_were_groups_of_them(tmp_path):
    pixels = np.arange(35, dtype="u1").reshape(5, 7)
    made = Maker()
    made.add(200, struct.pack(">HH", 7, 5), 9)
    made.add(202, pixels.tobytes(), 9)
    path = made.write(tmp_path / "file.hdf")
    array, _ = only(path)
    assert np.array_equal(decode_array(array), pixels)
    assert files.unequal(path) == ([], 1)


def test_annotations(tmp_path):
    made = Maker()
    ref = made.dataset(RAMP)
    made.add(100, b"a label\0")
    made.add(101, b"first")
    made.add(101, b"second")
    made.add(104, struct.pack(">HH", 720, ref) + b"ramp")
    made.add(105, struct.pack(">HH", 720, ref) + b"counts up")
    made.add(105, struct.pack(">HH", 1965, 99) + b"of a Vgroup")
    group, report = files.scan(made.write(tmp_path / "file.hdf"))
    assert group.attributes == {"file_label": "a label", "file_description": ["first", "second"]}
    ((_, array),) = group.arrays()
    assert (array.attributes["label"], array.attributes["description"]) == ("ramp", "counts up")
    (row,) = report.skipped
    assert row.code == "hdf4-annotation"
    assert "1965/99" in row.reason


def test_elements_never_written(tmp_path):
    made = Maker()
    made.dataset(RAMP, made.add(702, b"", nowhere=True))
    array, _ = only(made.write(tmp_path / "file.hdf"))
    assert array.chunks.present == 0
    assert array.fill_value == -2147483647


@pytest.mark.parametrize("data", [b"", b"\x0e\x03\x13\x01", b"\x0e\x03\x13\x01\0\0\0\0\0\0"])
def test_files_without_descriptors_are_refused(tmp_path, data):
    path = tmp_path / "file.hdf"
    path.write_bytes(data)
    with pytest.raises((FormatError, LimitError)):
        files.scan(path)


@pytest.mark.parametrize(
    ("shape", "lengths", "chunk"),
    [((6, 5), [40, 20], (2, 5)), ((6, 5), [2, 58], (1, 1)), ((6, 5), [30, 30], (3, 5)),
     ((6, 4, 5), [40, 200], (1, 4, 5)), ((6, 4, 5), [20, 220], (1, 2, 5)),
     ((6, 4, 5), [80, 160], (2, 4, 5)), ((6, 4, 5), [60, 180], (1, 2, 5))],
)  # fmt: skip
def test_pieces_between_cuts(shape, lengths, chunk):
    found, starts = pieces_between_cuts(shape, 2, np.array(lengths), None)
    assert found == chunk
    nbytes = 2 * int(np.prod(chunk))
    assert starts.tolist() == list(range(0, 2 * int(np.prod(shape)), nbytes))
    assert all(cut % nbytes == 0 for cut in np.cumsum(lengths))


def test_pieces_are_not_cut_inside_of_elements():
    assert pieces_between_cuts((6, 5), 2, np.array([3, 57]), None) is None
