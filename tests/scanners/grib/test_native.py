"""What ecCodes says is compared place by place: fields in each other's place are noticed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from refmaker.errors import FormatError, LimitError
from refmaker.io.source import Source
from refmaker.model import ChunkTable
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanning.options import ScanOptions
from tests.scanners.grib.messages import message, sections

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


def opened(path):
    with Source(path) as source:
        return GRIBScanner().scan(source, ScanOptions())[0], source


def wrong(path, group):
    """Return what does not equal its true values, of all arrays, by name."""
    found = {}
    with Source(path) as source, GRIBScanner().native(source) as native:
        for name, array in group.arrays():
            try:
                true = native.read(name, array, whole(array))
            except (FormatError, LimitError) as error:
                found[name] = str(error)
                continue
            if not array.chunks.referenced and not array.codecs and array.dtype.kind in "iuf":
                same = np.array_equal(true.reshape(-1), own(array).reshape(-1), equal_nan=True)
                if not same:
                    found[name] = "other values"
    return found


@pytest.mark.parametrize("spoilt", [slice(-4, None), slice(0, 4), slice(16, 40), slice(60, 90)])
def test_a_damaged_message_is_no_alarm_elsewhere(tmp_path, spoilt):
    parts = [
        message(shortName="t", level=level, step=step) for level in (850, 500) for step in (0, 6)
    ]
    damaged = bytearray(parts[1])
    damaged[spoilt] = b"\xff" * len(damaged[spoilt])
    path = tmp_path / "file.grib2"
    path.write_bytes(
        parts[0] + bytes(damaged) + parts[2] + b"noise GRIB noise" + parts[3][:100] + parts[3]
    )
    group, _ = opened(path)
    placed = {name: array for name, array in group.arrays() if not name.startswith("_")}
    assert sum(a.chunks.referenced for n, a in placed.items() if n.endswith("/t")) >= 3
    found = {name for name in wrong(path, group) if name in placed and not name.endswith("/t")}
    assert found == set()


def test_what_claims_many_points_is_not_expanded(tmp_path):
    # A constant field of 300 bytes that claims 30,000 by 30,000 points.
    claimed = message(shortName="t", values=np.full(84, 1.0))
    parts = [bytearray(part) for part in sections(claimed)]
    size = 30_000
    for part in parts:
        if part[4] == 3:
            part[6:10] = (size * size).to_bytes(4, "big")
            part[30:34] = part[34:38] = size.to_bytes(4, "big")
            part[63:71] = bytes(8)
        if part[4] == 5:
            part[5:9] = (size * size).to_bytes(4, "big")
    body = b"".join(map(bytes, parts))
    path = tmp_path / "file.grib2"
    data = claimed[:8] + (len(body) + 20).to_bytes(8, "big") + body + b"7777"
    path.write_bytes(data + message(shortName="u"))
    group, _ = opened(path)
    found = wrong(path, group)
    # Refused by scan or, where it is below the bound of a chunk, by the oracle.
    assert all("too large" in reason for reason in found.values())


def test_absent_combinations_have_the_sum_for_time_of_validity(tmp_path):
    # As seasonal forecasts: months, of which each start has another number of days.
    dates = (20160101, 20160201, 20160301)
    parts = [
        message(1, shortName="t", dataDate=date, startStep=24 * days)
        for date in dates for days in (31, 29)
        if (date, days) != (20160201, 31)
    ]  # fmt: skip
    path = tmp_path / "file.grib"
    path.write_bytes(b"".join(parts))
    group, _ = opened(path)
    assert group["isobaricInhPa/instant/t"].chunks.absent == 1
    valid = own(group["isobaricInhPa/instant/valid_time"])
    time, step = (own(group[f"isobaricInhPa/instant/{name}"]) for name in ("time", "step"))
    np.testing.assert_array_equal(valid, time[:, None] + step)
    assert wrong(path, group) == {}


@pytest.mark.parametrize("day", [2, 255])
def test_climatologies_are_of_year_0(tmp_path, day):
    data = bytearray(message(1, shortName="t", dataDate=20160402))
    # Section 1: year of the century, day, century.
    data[8 + 12], data[8 + 14], data[8 + 24] = 255, day, 255
    path = tmp_path / "file.grib"
    path.write_bytes(bytes(data) + message(1, shortName="u"))
    group, _ = opened(path)
    assert group.attributes["refmaker:fields"]["placed"] == 2
    assert wrong(path, group) == {}
    times = [own(a) for name, a in group.arrays() if name.endswith("/time") or "/time_" in name]
    true = np.datetime64(f"0000-04-{2 if day == 2 else 1:02}T12:00:00", "s").astype(np.int64)
    assert true in np.concatenate([time.reshape(-1) for time in times])


def test_longitudes_across_the_meridian(tmp_path):
    keys = {
        "longitudeOfFirstGridPointInDegrees": 359.7, "longitudeOfLastGridPointInDegrees": 0.8,
        "iDirectionIncrementInDegrees": 0.1,
    }  # fmt: skip
    path = tmp_path / "file.grib2"
    path.write_bytes(message(shortName="t", **keys))
    group, _ = opened(path)
    assert wrong(path, group) == {}


@pytest.mark.parametrize("inner", [6, 12])
def test_time_of_validity_of_several_ranges(tmp_path, inner):
    # A monthly mean of means over 6 hours: the message says where the month ends.
    data = message(
        productDefinitionTemplateNumber=8, numberOfTimeRanges=2, paramId=130, dataDate=20240101,
        typeOfFirstFixedSurface=1, yearOfEndOfOverallTimeInterval=2024,
        monthOfEndOfOverallTimeInterval=2, dayOfEndOfOverallTimeInterval=1,
        hourOfEndOfOverallTimeInterval=0,
    )  # fmt: skip
    parts = [bytearray(part) for part in sections(data)]
    (what,) = [part for part in parts if part[4] == 4]
    what[46:58] = bytes((0, 1, 2, 0, 0, 0, 31, 2, 0, 0, 0, 1))
    what[58:70] = bytes((0, 2, 1, 0, 0, 0, inner, 1, 0, 0, 0, 0))
    path = tmp_path / "file.grib2"
    path.write_bytes(data[:16] + b"".join(map(bytes, parts)) + b"7777")
    group, _ = opened(path)
    (valid,) = [own(a) for name, a in group.arrays() if name.endswith("valid_time")]
    assert valid == np.datetime64("2024-02-01T00:00:00", "s").astype(np.int64)
    assert wrong(path, group) == {}
