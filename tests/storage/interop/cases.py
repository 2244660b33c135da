"""One reference set for each feature, and the values that a reader has to give.

Every set holds the array ``v``, below ``sub`` in the set ``group``. They are spelled as tools of
all kinds spell them, and not as this package does.
"""

from __future__ import annotations

import base64
import json
import struct

import numcodecs
import numpy as np

SHUFFLE = {"id": "shuffle", "elementsize": 4}
ZLIB = {"id": "zlib", "level": 4}
CODECS = {
    "zlib": [ZLIB],
    "gzip": [{"id": "gzip", "level": 4}],
    "zstd": [{"id": "zstd", "level": 3}],
    "blosc": [{"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1}],
    "lz4": [{"id": "lz4", "acceleration": 1}],
    "bz2": [{"id": "bz2", "level": 4}],
    "lzma": [{"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None}],
    "shuffle_zlib": [SHUFFLE, ZLIB],
}
FILTERS = {
    "all_in_filters": [SHUFFLE, ZLIB],
    "fletcher32": [SHUFFLE, ZLIB, {"id": "fletcher32"}],
    "fletcher32_first": [{"id": "fletcher32"}, SHUFFLE, ZLIB],
    "quantize": [{"id": "quantize", "digits": 3, "dtype": "<f4"}],
    "scaleoffset": [
        {"id": "fixedscaleoffset", "scale": 10.0, "offset": 0.0, "dtype": "<f8", "astype": "<i2"}
    ],
    "delta": [{"id": "delta", "dtype": "<i4"}],
    "refmaker": [{"id": "refmaker.tiff_pad", "nbytes": 192, "tail": 192, "over": 0}],
    "imagecodecs": [{"id": "imagecodecs_lzw"}],
}


def double(value):
    """Return a number as xarray spells the attribute ``_FillValue`` in Zarr version 3."""
    return base64.b64encode(struct.pack("<d", value)).decode()


def inlined(data):
    return "base64:" + base64.b64encode(data).decode()


def zarray(shape, chunks, dtype, fill=None, **rest):
    return {
        "zarr_format": 2,
        "shape": list(shape),
        "chunks": list(chunks),
        "dtype": dtype,
        "compressor": None,
        "fill_value": fill,
        "order": "C",
        "filters": None,
        "dimension_separator": ".",
        **rest,
    }


def encoder(codecs):
    """Return what encodes a chunk by codecs, all in one go."""
    made = [numcodecs.get_codec(dict(config)) for config in codecs]

    def encode(part):
        data = np.ascontiguousarray(part)
        for codec in made:
            data = codec.encode(data)
        return bytes(data)

    return encode


class Cases:
    """Sets by name, written to a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Gets ``<name>.json`` and the data.
    """

    def __init__(self, folder):
        self.folder = folder
        self.blob = bytearray(b"HEAD" * 4)
        self.file = folder / "data.bin"
        self.url = self.file.as_uri()
        self.sets = {}
        self.values = {}
        self.spellings = []

    def put(self, data):
        """Append bytes to the data; return the reference to them."""
        at = len(self.blob)
        self.blob.extend(data)
        return [self.url, at, len(data)]

    def base(self, values, fill=None, attributes=None, *, chunks=None, dims=None, dtype=None,
             encode=None, separator=".", **rest):  # fmt: skip
        """Return a set of coordinates and the array ``v``."""
        dims = ("time", "lat", "lon")[: values.ndim] if dims is None else dims
        refs = {".zgroup": {"zarr_format": 2}, ".zattrs": {"Conventions": "CF-1.8"}}
        for name, numbers in (
            ("time", np.arange(4, dtype="<i4")),
            ("lat", np.linspace(-50, 50, 6)),
            ("lon", np.linspace(0, 315, 8)),
        ):
            if "time" in dims and len(dims) == 3:
                units = "days since 2000-01-01" if name == "time" else f"degrees_{name}"
                refs[f"{name}/.zarray"] = zarray(numbers.shape, numbers.shape, numbers.dtype.str)
                refs[f"{name}/.zattrs"] = {"_ARRAY_DIMENSIONS": [name], "units": units}
                refs[f"{name}/0"] = inlined(numbers.tobytes())
        chunks = (1, *values.shape[1:]) if chunks is None else chunks
        rest["dimension_separator"] = separator
        refs["v/.zarray"] = zarray(values.shape, chunks, dtype or values.dtype.str, fill, **rest)
        refs["v/.zattrs"] = {"_ARRAY_DIMENSIONS": list(dims), **(attributes or {})}
        grid = [-(-extent // size) for extent, size in zip(values.shape, chunks, strict=True)]
        for place in np.ndindex(*grid):
            where = tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, chunks, strict=True))
            part = values[where]
            key = separator.join(map(str, place)) or "0"
            refs[f"v/{key}"] = self.put(encode(part) if encode else part.tobytes())
        return refs

    def add(self, name, refs, values, *, documents="text", wrap=None):
        """Note a set, with its documents as text, objects or base64."""
        spell = {
            "text": json.dumps,
            "objects": lambda value: value,
            "base64": lambda value: inlined(json.dumps(value).encode()),
        }[documents]
        body = {k: spell(v) if isinstance(v, dict) else v for k, v in refs.items()}
        self.sets[name] = {"version": 1, "refs": body} if wrap is None else wrap(body)
        self.values[name] = np.asarray(values)

    def write(self):
        """Write all sets and their data."""
        self.file.write_bytes(bytes(self.blob))
        for name, document in self.sets.items():
            (self.folder / f"{name}.json").write_text(json.dumps(document))


def make(folder):
    """Write all sets to a folder; return them by name, with their values.

    Parameters
    ----------
    folder : pathlib.Path
    """
    cases = Cases(folder)
    rng = np.random.default_rng(7)
    values = np.round(rng.random((4, 6, 8)) * 50, 3).astype("<f4")
    values[1, 2, 3] = np.nan
    integers = np.nan_to_num(values * 10).astype("<i2")
    integers[0, 0, 0] = -999
    _spellings(cases, values)
    cases.spellings = list(cases.sets)
    _fills(cases, values, integers)
    _types(cases, values, integers)
    _records(cases)
    _shapes(cases, values)
    _codecs(cases, values, integers)
    cases.write()
    return cases


def _spellings(cases, values):
    plain = cases.base(values)
    named = {
        key: ["{{u}}", *value[1:]] if isinstance(value, list) else value
        for key, value in plain.items()
    }
    metadata = {k: v for k, v in plain.items() if k.rpartition("/")[2].startswith(".z")}
    whole = {".zmetadata": {"metadata": metadata, "zarr_consolidated_format": 1}, **plain}

    def at(url):
        return {k: [url, *v[1:]] if isinstance(v, list) else v for k, v in plain.items()}

    templates = {"u": cases.url}
    for name, refs, wrap in (
        ("plain", plain, None),
        ("zmetadata", whole, None),
        ("version0", plain, lambda body: body),
        ("foreign_before", plain, lambda body: {"version": 1, "tool": {"a": 1}, "refs": body}),
        ("foreign_behind", plain, lambda body: {"version": 1, "refs": body, "tool": {"a": 1}}),
        ("templates", named, lambda b: {"version": 1, "templates": templates, "refs": b}),
        ("templates_empty", plain, lambda b: {"version": 1, "templates": {}, "refs": b}),
        ("templates_unused", plain, lambda b: {"version": 1, "templates": templates, "refs": b}),
        ("gen_empty", plain, lambda body: {"version": 1, "gen": [], "refs": body}),
        ("path_bare", at(str(cases.file)), None),
        ("path_relative", at("data.bin"), None),
        ("slashes", cases.base(values, separator="/"), None),
    ):
        cases.add(name, refs, values, wrap=wrap)
    cases.add("documents_objects", plain, values, documents="objects")
    cases.add("documents_base64", plain, values, documents="base64")
    cases.add("group", {
        key if key.startswith(".z") or not key.startswith("v/") else f"sub/{key}": value
        for key, value in plain.items()
    } | {"sub/.zgroup": {"zarr_format": 2}, "sub/.zattrs": {}}, values)  # fmt: skip
    bare = {"meta/.zgroup": {"zarr_format": 2}, "meta/.zattrs": {"a": 1}}
    cases.add("group_without_arrays", {**plain, **bare}, values)
    order = cases.base(values, encode=lambda part: part.tobytes("F"), order="F")
    cases.add("order_F", order, values)
    one = np.arange(48, dtype="<f4").reshape(1, 6, 8)
    (cases.folder / "whole.bin").write_bytes(one.tobytes())
    refs = cases.base(one, dims=("z", "lat", "lon"))
    cases.add("whole_file", {**refs, "v/0.0.0": [(cases.folder / "whole.bin").as_uri()]}, one)
    letters = np.frombuffer(b"abcdefgh", "u1")
    refs = cases.base(letters, chunks=(8,), dims=("x",))
    cases.add("inline_text", {**refs, "v/0": "abcdefgh"}, letters)
    cases.add("inline_base64", {**refs, "v/0": inlined(b"abcdefgh")}, letters)


def _fills(cases, values, integers):
    large = 9.96921e36
    nan = float("nan")
    for name, fill, missing in (
        ("NaN", "NaN", None),
        ("null_text", None, "NaN"),
        ("NaN_text", "NaN", "NaN"),
        ("NaN_double", "NaN", double(nan)),
        ("null_double", None, double(nan)),
        ("null_single", None, base64.b64encode(struct.pack("<f", nan)).decode()),
        ("null_bare", None, nan),
        ("NaN_bare", "NaN", nan),
        ("number", large, None),
        ("number_number", large, large),
        ("null_number", None, float(np.float32(large))),
        ("null_inexact_number", None, large),
        ("number_double", -9999.0, double(-9999.0)),
        ("zero", 0.0, None),
        ("inf", "Infinity", None),
        ("nan_lower", "nan", None),
    ):
        marked = values.copy()
        if "number" in name:
            marked[0, 0, 0] = np.float32(large if fill is None else fill)
        attributes = {} if missing is None else {"_FillValue": missing}
        cases.add(f"fill_{name}", cases.base(marked, fill, attributes), marked)
    for name, fill, attributes in (
        ("null", None, {}),
        ("number", -999, {}),
        ("number_number", -999, {"_FillValue": -999, "scale_factor": 0.1, "add_offset": 5.0}),
        ("null_number", None, {"_FillValue": -999, "scale_factor": 0.1}),
        ("null_double", None, {"_FillValue": double(-999)}),
        ("null_list", None, {"_FillValue": [-999, -998]}),
        ("null_text", None, {"_FillValue": "none"}),
    ):
        cases.add(f"i2_{name}", cases.base(integers, fill, attributes), integers)
    for name, array, fill, read in (
        ("null", values, None, 0),
        ("NaN", values, "NaN", np.nan),
        ("number", values, -1.0, -1),
        ("int_null", integers, None, 0),
        ("int_number", integers, -999, -999),
        ("complex_null", (values + 1j).astype("<c8"), None, 0),
        ("M8_null", integers.astype("<i8").view("<M8[ns]"), None, np.datetime64("NaT", "ns")),
        ("bool_null", integers > 100, None, False),
        ("S_null", np.char.mod("a%d", integers).astype("S5"), None, b""),
        ("U_null", np.char.mod("a%d", integers).astype("<U5"), None, ""),
    ):
        refs, expected = cases.base(array, fill), array.copy()
        del refs["v/2.0.0"]
        expected[2] = read
        cases.add(f"absent_{name}", refs, expected)
    refs, expected = cases.base(values, 0.0, {"_FillValue": -9999.0}), values.copy()
    del refs["v/2.0.0"]
    expected[2] = 0
    cases.add("absent_differs", refs, expected)


def _types(cases, values, integers):
    texts = np.char.mod("a%d", integers)
    for name, array, fill in (
        ("big_f4", values.astype(">f4"), None),
        ("big_i2", integers.astype(">i2"), -999),
        ("f8", values.astype("<f8"), None),
        ("f2", values.astype("<f2"), None),
        ("u1", (integers & 255).astype("u1"), None),
        ("i1", (integers & 127).astype("i1"), None),
        ("u8", (integers & 255).astype("<u8") * 10**15, None),
        ("i8", integers.astype("<i8") * 10**12, None),
        ("bool", integers > 100, None),
        ("bool_false", integers > 100, False),
        ("complex", (values + 1j).astype("<c8"), None),
        ("complex_filled", (values + 1j).astype("<c8"), [1.0, 0.0]),
        ("M8", integers.astype("<i8").view("<M8[ns]"), None),
        ("m8", integers.astype("<i8").view("<m8[s]"), None),
        ("S", texts.astype("S5"), None),
        ("U", texts.astype("<U5"), None),
        ("V", texts.astype("S4").view("V4"), None),
    ):
        cases.add(f"type_{name}", cases.base(array, fill), array)
    array = texts.astype("S5")
    cases.add("type_S_marked", cases.base(array, None, {"_FillValue": "x"}), array)
    words = np.array(["alpha", "βeta", "", "delta"], object)
    encode = encoder([{"id": "vlen-utf8"}])
    for name, fill in (("null", None), ("empty", ""), ("zero", 0)):
        refs = cases.base(
            words, fill, chunks=(4,), dims=("x",), dtype="|O", filters=[{"id": "vlen-utf8"}],
            encode=encode,
        )  # fmt: skip
        cases.add(f"type_O_{name}", refs, words)


def _records(cases):
    for name, fields, document in (
        ("packed", [("a", "<i4"), ("b", "<f8")], [["a", "<i4"], ["b", "<f8"]]),
        ("big", [("a", ">i4"), ("b", ">f8")], [["a", ">i4"], ["b", ">f8"]]),
        ("padded", [("a", "<i4"), ("f", "V4"), ("b", "<f8")],
         [["a", "<i4"], ["f", "|V4"], ["b", "<f8"]]),
        ("nested", [("a", "<i4"), ("c", [("x", "<i2"), ("y", "<f4")])],
         [["a", "<i4"], ["c", [["x", "<i2"], ["y", "<f4"]]]]),
        ("subarray", [("a", "<i4"), ("m", "<f4", (3,))], [["a", "<i4"], ["m", "<f4", [3]]]),
    ):  # fmt: skip
        records = np.zeros(4, fields)
        records["a"] = range(4)
        cases.add(
            f"record_{name}", cases.base(records, chunks=(4,), dims=("x",), dtype=document), records
        )


def _shapes(cases, values):
    number = np.array(42.5, "<f8")
    refs = cases.base(number, chunks=(), dims=())
    cases.add("scalar", refs, number)
    cases.add("scalar_inlined", {**refs, "v/0": inlined(number.tobytes())}, number)
    cases.add("scalar_absent", {k: v for k, v in refs.items() if k != "v/0"}, np.array(0.0))
    empty = np.zeros((0, 6, 8), "<f4")
    cases.add("empty", cases.base(empty, chunks=(1, 6, 8), dims=("z", "y", "x")), empty)
    refs = cases.base(values)
    del refs["v/.zattrs"]["_ARRAY_DIMENSIONS"]
    cases.add("no_dimensions", refs, values)


def _codecs(cases, values, integers):
    for name, codecs in CODECS.items():
        *filters, compressor = codecs
        refs = cases.base(
            values, encode=encoder(codecs), filters=filters or None, compressor=compressor
        )
        cases.add(f"codec_{name}", refs, values)
    for name, filters in FILTERS.items():
        array = {
            "scaleoffset": np.round(np.nan_to_num(values).astype("f8"), 1),
            "delta": integers.astype("<i4"),
        }.get(name, values)
        encode = None if name == "refmaker" else encoder(filters)
        read = array
        if name in ("quantize", "scaleoffset"):
            codec = numcodecs.get_codec(dict(filters[0]))
            read = codec.decode(codec.encode(array.ravel())).reshape(array.shape)
        cases.add(f"codec_{name}", cases.base(array, encode=encode, filters=filters), read)
    random = np.random.default_rng(1).integers(0, 2**32, (4, 6, 8), np.uint32)
    refs = cases.base(random, encode=encoder([SHUFFLE, ZLIB]), filters=[SHUFFLE, ZLIB])
    cases.add("codec_incompressible_in_filters", refs, random)
