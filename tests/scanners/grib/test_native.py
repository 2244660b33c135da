"""What ecCodes says is compared place by place: fields in each other's place are noticed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from refmaker.errors import FormatError
from refmaker.io.source import Source
from refmaker.model import ChunkTable
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanning.options import ScanOptions
from tests.scanners.grib.messages import message

FOLDER = "/isobaricInhPa/instant"


@pytest.fixture
def scanned(tmp_path):
    path = tmp_path / "file.grib2"
    path.write_bytes(
        b"".join(
            message(shortName="t", level=level, step=step, dataDate=date, seed=level + step)
            for level, step, date in itertools.product((850, 500), (0, 6, 12), (20240101, 20240103))
        )
    )
    with Source(path) as source:
        group, _ = GRIBScanner().scan(source, ScanOptions())
        with GRIBScanner().native(source) as native:
            yield group["isobaricInhPa/instant"].members, native


def whole(array):
    return tuple(slice(0, extent) for extent in array.shape)


def read(native, name, array):
    return native.read(f"{FOLDER}/{name}", array, whole(array))


def own(array):
    return np.frombuffer(array.chunks.get(0), array.dtype).reshape(array.shape)


AXES = ("time", "step", "isobaricInhPa", "valid_time")


@pytest.mark.parametrize("fields_first", [True, False])
def test_what_a_scan_says_is_right(scanned, fields_first):
    members, native = scanned
    names = ["t", *AXES] if fields_first else [*AXES, "t"]
    for name in names:
        values = read(native, name, members[name])
        if name != "t":
            np.testing.assert_array_equal(values, own(members[name]))


@pytest.mark.parametrize("name", AXES)
def test_coordinates_in_another_order_are_wrong(scanned, name):
    # Every value is still that of some field.
    members, native = scanned
    array = members[name]
    turned = np.ascontiguousarray(own(array)[::-1])
    chunks = ChunkTable.inline(array.chunks.grid, {0: turned.tobytes()})
    read(native, "t", members["t"])
    values = read(native, name, replace(array, chunks=chunks))
    assert not (values == turned).any()


@pytest.mark.parametrize("name", AXES)
def test_fields_in_each_others_place_are_wrong(scanned, name):
    members, native = scanned
    array = members["t"]
    table = array.chunks
    chunks = ChunkTable.from_columns(
        table.grid, table.urls, offset=table.offset[::-1].copy(), length=table.length[::-1].copy()
    )
    read(native, name, members[name])
    with pytest.raises(FormatError, match=name):
        read(native, "t", replace(array, chunks=chunks))
