"""HDF4 files made by the HDF library, through pyhdf and, for what that lacks, called directly."""

import ctypes
import os
from contextlib import contextmanager

import numpy as np
from pyhdf import HDF, SD, VS, V, hdfext  # noqa: F401 - V and VS add to HDF
from pyhdf.HDF import HC
from pyhdf.SD import SDC

from refmaker.io.source import Source
from refmaker.scanners.hdf4 import HDF4Scanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing.reading import decode_array, open_stock
from refmaker.verification.verify import same_values

CODES = {
    "i1": 20, "u1": 21, "i2": 22, "u2": 23, "i4": 24, "u4": 25, "f4": 5, "f8": 6, "S1": 4
}  # fmt: skip
NUMBERS = tuple(name for name in CODES if name != "S1")
LITTLE = 0x4000
PLAIN, RLE, NBIT, SKPHUFF, DEFLATE = range(5)
LIBRARY = ctypes.CDLL(hdfext._hdfext.__file__)


def scan(path, **fields):
    with Source(path) as source:
        return HDF4Scanner().scan(source, ScanOptions(**fields))


def unequal(path, **fields):
    """Return the arrays whose values are not those of the HDF library, and how many are."""
    group, _ = scan(path, **fields)
    stock, wrong, count = open_stock(group), [], 0
    with Source(path) as source, HDF4Scanner().native(source) as native:
        for name, array in group.arrays():
            true = native.read(name, array, tuple(slice(0, n) for n in array.shape))
            ours = decode_array(array), stock[name][...]
            if not all(same_values(np.asarray(one), true) for one in ours):
                wrong.append(name)
            count += 1
    return wrong, count


def values(kind, shape, seed=0):
    """Return smooth values with some noise, in which runs are short and long."""
    steps = np.add.reduce(np.indices(shape)) // 3
    noise = np.random.default_rng(seed).integers(0, 2, shape)
    return (steps + noise).astype(kind)


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def integers(*numbers):
    return (ctypes.c_int32 * len(numbers))(*numbers)


@contextmanager
def file(path):
    """Open a new file by the data set interface."""
    made = SD.SD(str(path), SDC.WRITE | SDC.CREATE | SDC.TRUNC)
    yield made
    made.end()


def add(made, name, array, *, dims=(), coding=None, fill=None, **attributes):
    """Add a data set; returns its reference number."""
    one = made.create(name, CODES[array.dtype.str[1:]], array.shape)
    for axis, dimension in enumerate(dims):
        one.dim(axis).setname(dimension)
    if fill is not None:
        one.setfillvalue(fill)
    for key, value in attributes.items():
        setattr(one, key, value)
    if coding:
        one.setcompress(*coding)
    one[:] = array
    ref = one.ref()
    one.endaccess()
    return ref


class Raw:
    """A file written by the library itself, for what pyhdf does not pass on."""

    def __init__(self, path):
        self.id = LIBRARY.SDstart(str(path).encode(), 4)
        assert self.id != -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert LIBRARY.SDend(self.id) == 0

    def create(self, name, code, shape):
        made = LIBRARY.SDcreate(self.id, name.encode(), code, len(shape), integers(*shape))
        assert made != -1
        return made

    def write(self, dataset, array, start=None):
        array = np.ascontiguousarray(array)
        start = integers(*(start or (0,) * array.ndim))
        done = LIBRARY.SDwritedata(dataset, start, None, integers(*array.shape), pointer(array))
        assert done == 0

    def end(self, dataset):
        assert LIBRARY.SDendaccess(dataset) == 0

    def fill(self, dataset, value):
        assert LIBRARY.SDsetfillvalue(dataset, pointer(np.atleast_1d(value))) == 0

    def chunks(self, dataset, shape, coder=PLAIN, *info):
        """Lay a data set out in chunks, as the union HDF_CHUNK_DEF tells."""
        words = np.zeros(64, np.int32)
        words[: len(shape)] = shape
        words[32], words[33] = coder, 0
        words[34 : 34 + len(info)] = info

        class Definition(ctypes.Structure):
            _fields_ = [("words", ctypes.c_int32 * 64)]

        made = Definition.from_buffer_copy(words.tobytes())
        assert LIBRARY.SDsetchunk(dataset, made, 3 if coder else 1) == 0

    def nbit(self, dataset, start, bits, sign, ones):
        assert LIBRARY.SDsetnbitdataset(dataset, start, bits, sign, ones) != -1


def codings(path):
    """Write each number type in each coding of pyhdf, plain and with all that hangs at it."""
    with file(path) as made:
        made.title = "made for tests"
        made.numbers = [1.5, 2.5]
        for kind in NUMBERS:
            size = np.dtype(kind).itemsize
            for name, coding in (
                ("plain", None), ("rle", (SDC.COMP_RLE,)), ("skp", (SDC.COMP_SKPHUFF, size)),
                ("zip", (SDC.COMP_DEFLATE, 5)),
            ):  # fmt: skip
                add(made, f"{kind}_{name}", values(kind, (13, 17)), dims=("y", "x"),
                    coding=coding, fill=99, units="K")  # fmt: skip
        text = made.create("text", SDC.CHAR8, (3, 5))
        text[:] = np.frombuffer(b"HellothereWorld", "S1").reshape(3, 5)
        text.endaccess()
    return path


def special(path):
    """Write data sets that grow, were not or only partly written, are scaled, have scales."""
    with file(path) as made:
        grow = made.create("grow", SDC.INT16, (SDC.UNLIMITED, 5))
        grow[0:2] = np.arange(10, dtype="i2").reshape(2, 5)
        grow.endaccess()
        add(made, "other", np.arange(4, dtype="i4"))
        grow = made.select("grow")
        grow[2:7] = np.arange(10, 35, dtype="i2").reshape(5, 5)
        grow.endaccess()
        for kind in NUMBERS:
            made.create(f"never_{kind}", CODES[kind], (3, 4)).endaccess()
        never = made.create("never_filled", SDC.INT16, (6,))
        never.setfillvalue(-7)
        never.endaccess()
        filled = made.create("filled", SDC.INT16, (6,))
        filled.setfillvalue(-7)
        filled[1:3] = np.array([1, 2], "i2")
        filled.endaccess()
        empty = made.create("empty", SDC.FLOAT32, (SDC.UNLIMITED,))
        empty.endaccess()
        packed = made.create("packed", SDC.INT16, (3,))
        packed.setcal(0.5, 0, 10.0, 0, SDC.FLOAT32)
        packed[:] = np.array([1, 2, 3], "i2")
        packed.endaccess()
        scaled = made.create("scaled", SDC.FLOAT32, (4,))
        scaled.dim(0).setname("lat")
        scaled.dim(0).setscale(SDC.FLOAT64, [10.0, 20.0, 30.0, 40.0])
        scaled.dim(0).units = "degrees_north"
        scaled[:] = np.arange(4, dtype="f4")
        scaled.endaccess()
        labelled = made.create("labelled", SDC.FLOAT32, (5,))
        labelled.dim(0).setname("lon")
        labelled.dim(0).setstrs("longitude", "degrees_east", "%f")
        labelled[:] = np.arange(5, dtype="f4")
        labelled.endaccess()
    return path


def chunked(path):
    """Write chunks of each coding, with partial ones at the edges and some never written."""
    with Raw(path) as made:
        for kind in ("u1", "i2", "f8"):
            size = np.dtype(kind).itemsize
            for name, coder, info in (
                ("plain", PLAIN, ()), ("rle", RLE, ()), ("skp", SKPHUFF, (size,)),
                ("zip", DEFLATE, (6,)),
            ):  # fmt: skip
                one = made.create(f"{kind}_{name}", CODES[kind], (13, 17))
                made.fill(one, np.array(77, kind))
                made.chunks(one, (5, 6), coder, *info)
                made.write(one, values(kind, (13, 17))[:10, :12])
                made.end(one)
        one = made.create("late", CODES["i2"], (8, 8))
        made.chunks(one, (4, 4))
        made.fill(one, np.array(77, "i2"))
        made.write(one, np.ones((4, 4), "i2"))
        made.end(one)
        one = made.create("unfilled", CODES["f4"], (8, 8))
        made.chunks(one, (4, 4))
        made.write(one, np.ones((4, 4), "f4"))
        made.end(one)
    return path


def nbit(path):
    """Write n-bit data of each integer type and place of the bits; returns how many."""
    chance, count = np.random.default_rng(0), 0
    with Raw(path) as made:
        for kind in ("i1", "u1", "i2", "u2", "i4", "u4"):
            width = 8 * np.dtype(kind).itemsize
            info = np.iinfo(kind)
            for start, bits in sorted(
                {(width - 1, width), (5, 6), (6, 4), (width - 2, width // 2)}
            ):
                for sign, ones in np.ndindex(2, 2):
                    one = made.create(f"{kind}_{start}_{bits}_{sign}{ones}", CODES[kind], (6, 5))
                    made.nbit(one, start, bits, sign, ones)
                    made.write(one, chance.integers(info.min, info.max, (6, 5)).astype(kind))
                    made.end(one)
                    count += 1
    return count


def little(path):
    """Write little-endian data sets of each type, plain and compressed."""
    with Raw(path) as made:
        for kind in NUMBERS:
            for compressed in (False, True):
                name = f"{kind}_{'zip' if compressed else 'plain'}"
                one = made.create(name, CODES[kind] | LITTLE, (9, 7))
                if compressed:
                    made.chunks(one, (4, 7), DEFLATE, 6)
                made.write(one, (10 * np.arange(9)[:, None] + np.arange(7)).astype(kind))
                made.end(one)
    return path


def single_file_interface(path, array):
    """Write a data set as DFSD does, with all that it can say; returns 0 if nothing failed."""
    shape = integers(*array.shape)
    failed = LIBRARY.DFSDsetNT(CODES[array.dtype.str[1:]])
    failed |= LIBRARY.DFSDsetdims(array.ndim, shape)
    failed |= LIBRARY.DFSDsetdatastrs(b"depth", b"m", b"I4", b"polar")
    for axis, extent in enumerate(array.shape, start=1):
        scale = np.arange(extent, 0, -1, array.dtype) * (1 if axis == 1 else 10)
        failed |= LIBRARY.DFSDsetdimstrs(axis, b"side", b"km", b"I2")
        failed |= LIBRARY.DFSDsetdimscale(axis, extent, pointer(scale))
    highest, lowest = np.array([77], array.dtype), np.array([-5], array.dtype)
    failed |= LIBRARY.DFSDsetrange(pointer(highest), pointer(lowest))
    return failed | LIBRARY.DFSDputdata(path.encode(), array.ndim, shape, pointer(array))


def external(path):
    """Write a data set whose data lie in another file, from byte 8 on."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with file(path.name) as made:
            one = made.create("outside", SDC.INT16, (30, 40))
            one.setexternalfile("outside.bin", 8)
            one[:] = np.arange(1200, dtype="i2").reshape(30, 40)
            one.endaccess()
    finally:
        os.chdir(here)
    return path


def tables(path, rows=50):
    """Write Vdatas: of one field and of several, by record and by field, with attributes."""
    made = HDF.HDF(str(path), HC.WRITE | HC.CREATE | HC.TRUNC)
    vs = made.vstart()
    one = vs.create("single", (("value", HC.FLOAT32, 1),))
    one.units = "K"
    one.write([[float(i)] for i in range(rows)])
    one.detach()
    fields = [("count", HC.INT32, 1), ("place", HC.FLOAT64, 3), ("label", HC.CHAR8, 4)]
    one = vs.create("several", (*fields, ("flag", HC.UINT8, 1)))
    one.note = "of the whole"
    one.field("place").attr("units").set(HC.CHAR8, "m")
    one.write([[i, [i, i + 0.5, -i], f"n{i:03d}", i % 7] for i in range(rows)])
    one.detach()
    one = vs.create("by_field", (("a", HC.INT16, 1), ("b", HC.INT32, 2)))
    one._interlace = 1
    LIBRARY.VSsetinterlace(one._id, 1)
    one.write([[i, [i, -i]] for i in range(rows)])
    one.detach()
    one = vs.create("empty", (("a", HC.INT16, 1), ("b", HC.INT32, 2)))
    one.detach()
    vs.end()
    made.close()
    return path


JPEG = 7


def images(path, *, jpeg=False):
    """Write raster images: of one and of three components, of each interlace, compressed."""
    grey = values("u1", (20, 30))
    colour = np.stack([grey, grey[::-1], 2 * grey[:, ::-1]], 2)
    file_id = LIBRARY.Hopen(str(path).encode(), 4, 0)
    group = LIBRARY.GRstart(file_id)
    wanted = [
        ("grey", grey, 0, None), ("colour", colour, 0, None), ("rle", grey, 0, (RLE,)),
        ("zip", colour, 0, (DEFLATE, 6)), ("long", grey.astype("i4"), 0, None),
        ("float", grey.astype("f4"), 0, None),
    ]  # fmt: skip
    if jpeg:
        wanted += [("photo", grey, 0, (JPEG, 90, 1)), ("colour photo", colour, 0, (JPEG, 90, 1))]
    for name, array, interlace, coding in wanted:
        count = array.shape[2] if array.ndim > 2 else 1
        size = integers(array.shape[1], array.shape[0])
        code = CODES[array.dtype.str[1:]]
        one = LIBRARY.GRcreate(group, name.encode(), count, code, interlace, size)
        if coding:
            info = integers(*coding[1:], *(0,) * 8)
            assert LIBRARY.GRsetcompress(one, coding[0], info) == 0
        pixels = np.ascontiguousarray(array)
        assert LIBRARY.GRwriteimage(one, integers(0, 0), None, size, pointer(pixels)) == 0
        if name == "grey":
            colours = np.arange(768, dtype="u1").reshape(256, 3)
            palette = LIBRARY.GRgetlutid(one, 0)
            assert LIBRARY.GRwritelut(palette, 3, 21, 0, 256, pointer(colours)) == 0
            assert LIBRARY.GRsetattr(one, b"gain", CODES["f4"], 1, pointer(np.float32([2.5]))) == 0
        LIBRARY.GRendaccess(one)
    LIBRARY.GRend(group)
    LIBRARY.Hclose(file_id)
    return path
