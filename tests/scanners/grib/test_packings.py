"""What headers tell cannot be decoded is refused while scanning, by name; the rest is readable."""

from __future__ import annotations

import struct

import eccodes
import numpy as np
import pytest

from refmaker.io.source import Source
from refmaker.reading.open import open_store
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanning.options import ScanOptions
from tests.codecs import grib_messages as grib
from tests.scanners.grib.messages import message, sections

FIELD = 280 + 5 * np.random.default_rng(1).normal(size=(37, 53)).cumsum(1)


def changed(data, number, changes):
    """Return a message with octets of a section set."""
    parts = [bytearray(part) for part in sections(data)]
    for part in parts:
        if part[4] == number:
            for octet, value in changes.items():
                part[octet - 1 : octet - 1 + len(value)] = value
    return joined(parts)


def joined(parts):
    body = b"".join(bytes(part) for part in parts)
    return b"GRIB\0\0\0\2" + struct.pack(">Q", len(body) + 20) + body + b"7777"


def scan(path, data):
    # A good field beside it, which a bad one never costs.
    path.write_bytes(data + message(shortName="q"))
    with Source(path) as source:
        group, report = GRIBScanner().scan(source, ScanOptions())
    counts = group.attributes["refmaker:fields"]
    assert counts["found"] == 2 == counts["placed"] + counts["unsorted"]
    assert any(path.endswith("/q") for path, _ in group.arrays())
    return group, report


def packed(packing, bits=12, field=FIELD):
    # Packed again: ecCodes cannot write images before it knows how many values there are.
    handle = eccodes.codes_new_from_message(grib.message(field, None, bits))
    if packing != "grid_simple":
        eccodes.codes_set(handle, "packingType", packing)
    data = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return data


BAD = {
    "unknown": (packed("grid_simple"), 5, {10: struct.pack(">H", 77)}, "packing 5.77"),
    "local": (packed("grid_simple"), 5, {10: struct.pack(">H", 50321)}, "packing 5.50321"),
    "count": (packed("grid_simple"), 5, {6: struct.pack(">I", 1960)}, "another number of values"),
    "claim": (packed("grid_simple"), 5, {20: b"\x3f"}, "more values than section 7"),
    "width": (packed("grid_simple"), 5, {20: b"\x41"}, "more than 64 bits"),
    "missing": (packed("grid_complex"), 5, {23: b"\x03"}, "code table 5.5"),
    "groups": (packed("grid_complex"), 5, {32: b"\xff\xff\xff\xff"}, "groups"),
    "no groups": (packed("grid_complex"), 5, {32: bytes(4)}, "groups"),
    "order": (packed("grid_complex_spatial_differencing"), 5, {48: b"\x03"}, "code table 5.6"),
    "no octets": (packed("grid_complex_spatial_differencing"), 5, {49: b"\0"}, "code table 5.6"),
    "precision": (
        grib.message(FIELD, keys={"packingType": "grid_ieee", "precision": 1}), 5, {12: b"\3"},
        "neither 32 nor 64",
    ),
    "quad": (
        grib.message(FIELD, keys={"packingType": "grid_ieee", "precision": 1}), 5, {12: b"\2"},
        "more values than section 7",
    ),
    "ccsds block": (packed("grid_ccsds"), 5, {23: b"\x07"}, "odd number of samples"),
    "ccsds bits": (packed("grid_ccsds"), 5, {20: b"\x28"}, "more than 32 bits"),
    "no stream": (packed("grid_jpeg"), 7, {6: b"\0\0\0\0"}, "no JPEG 2000"),
    "pixels": (packed("grid_jpeg"), 7, {14: struct.pack(">I", 99)}, "pixels or components"),
    "components": (packed("grid_jpeg"), 7, {46: b"\0\3"}, "pixels or components"),
    "no image": (packed("grid_png", 16), 7, {6: b"\0\0\0\0"}, "no PNG"),
    "colours": (packed("grid_png", 16), 7, {31: b"\x03"}, "pixels or bits"),
    "wide": (packed("grid_png", 16), 7, {22: struct.pack(">I", 2_000_000)}, "pixels a row"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refused_by_name(tmp_path, name):
    data, number, changes, reason = BAD[name]
    _, report = scan(tmp_path / "f.grib2", changed(data, number, changes))
    (row,) = [row for row in report.rows if row.code == "unsorted"]
    assert reason in row.reason


def test_too_few_values_in_edition_1(tmp_path):
    # Section 2 says 13 columns, the data are of 12.
    data = bytearray(message(1, shortName="t", values=np.linspace(250, 300, 12 * 70), Nj=70))
    start = 8 + int.from_bytes(data[8:11], "big")
    data[start + 6 : start + 8] = struct.pack(">H", 13)
    _, report = scan(tmp_path / "f.grib", bytes(data))
    assert "another number" in next(row.reason for row in report.rows if row.code == "unsorted")


PACKINGS = [
    ("grid_simple", 0), ("grid_simple", 12), ("grid_complex", 12), ("grid_ccsds", 12),
    ("grid_complex_spatial_differencing", 12), ("grid_jpeg", 12), ("grid_png", 16),
    ("grid_png", 24), ("grid_simple_log_preprocessing", 12),
]  # fmt: skip


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(("packing", "bits"), PACKINGS)
def test_referenced_is_readable(tmp_path, packing, bits, gaps):
    field = FIELD.copy()
    if gaps:
        if packing.endswith("log_preprocessing"):
            return  # writing a bitmap with it ends ecCodes
        field[1:3, 2:9] = np.nan
    group, report = scan(tmp_path / "f.grib2", packed(packing, bits, field))
    assert not [row for row in report.rows if row.code == "unsorted"]
    import zarr

    for path, array in group.arrays():
        if array.chunks.referenced:
            zarr.open_array(open_store(group), path=path, mode="r", zarr_format=2)[...]
