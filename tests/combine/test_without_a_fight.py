"""Differences that change nothing of what is read do not keep inputs from being combined."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import refmaker
from refmaker.cli import main
from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from tests.combine.files import dataset, scanned, write

BIG = (40, 60)


def opened(parts):
    """Return what xarray makes of the parts."""
    return xr.concat([xr.decode_cf(part) for part in parts], "time", data_vars="minimal")


def check(cube, parts):
    found, true = refmaker.open_dataset(cube), opened(parts)
    true = true.sortby("time")
    np.testing.assert_array_equal(found["time"].values, true["time"].values)
    np.testing.assert_array_equal(found["v"].values, true["v"].values)


@pytest.mark.parametrize(
    ("one", "other", "hours"),
    [
        ("hours since 2000-01-01 00:00:00 +1:00", "hours since 2000-01-02 00:00:00 -6:00", 31),
        ("hours since 2000-01-01 00:00:00 -06:00", "hours since 2000-01-02 00:00:00", 18),
        ("hours since 2000-01-01T00:00:00Z", "hours since 2000-01-02 00:00:00 UTC", 24),
        ("hours since 2000-01-01 00:00 +0530", "hours since 2000-01-02 0:0:0 -3", 32.5),
        ("hours since 2000-01-01 -6:00", "hours since 2000-01-01T06 -6", 6),
        ("hours since 2000-01-01 06 +2", "hours since 2000-01-02 Z", 20),
        ("hours since 2000-1-1", "days since 2000-01-02 06:00:00.0 +5:45", 24.25),
    ],
)
@pytest.mark.parametrize("shape", [(4, 6), BIG])
def test_time_zones_count(tmp_path, one, other, hours, shape):
    parts = [dataset(0, 1, shape=shape, units=one), dataset(0, 1, shape=shape, units=other)]
    sets = scanned(tmp_path, parts, (1, *shape))
    times = refmaker.open_dataset(refmaker.combine(sets, concat="time"))["time"].values
    assert (times[1] - times[0]) / np.timedelta64(1, "s") == hours * 3600
    cube = refmaker.combine(sets, concat="time")
    check(cube, parts)
    assert {one.verdict for one in refmaker.verify(cube, isolate="never")} == {"equal"}


@pytest.mark.parametrize("zone", ["-600", "+25:00", "+1:75", "-6:00:00", "EST", "noon"])
def test_zones_that_nobody_can_read_are_refused(tmp_path, zone):
    units = [f"hours since 2000-01-01 00:00:00 {zone}", "hours since 2000-01-02"]
    sets = scanned(tmp_path, [dataset(0, 1, shape=BIG, units=u) for u in units], (1, *BIG))
    with pytest.raises(MetadataError, match="zone"):
        refmaker.combine(sets, concat="time")


def test_times_in_other_units_are_told_in_a_line(tmp_path):
    parts = [dataset(0, 2, shape=BIG), dataset(0, 2, shape=BIG, units="hours since 2000-02-01")]
    sets = scanned(tmp_path, parts, (2, *BIG))
    cube = refmaker.combine(sets, concat="time")
    (told,) = [text for text in cube.report.warnings if "same units" in text]
    assert "days since 2000-01-01" in told or "hours since 2000-01-01" in told
    check(cube, parts)
    with pytest.raises(MetadataError, match="reencode"):
        refmaker.combine(sets, concat="time", times="keep")
    with pytest.raises(MetadataError, match="reencode"):
        refmaker.combine(sets, concat="time", times="same")


def calendars(tmp_path, *given, units="days since 2000-01-01"):
    parts = []
    for k, calendar in enumerate(given):
        parts.append(dataset(2 * k, 2, shape=BIG, units=units))
        parts[-1]["time"].attrs["calendar"] = calendar
    return parts, scanned(tmp_path, parts, (2, *BIG))


@pytest.mark.parametrize("units", ["days since 2000-01-01", "days since 1700-10-20 12:00"])
def test_calendars_that_agree_on_the_dates(tmp_path, units):
    parts, sets = calendars(tmp_path, "standard", "proleptic_gregorian", "gregorian", units=units)
    check(refmaker.combine(sets, concat="time"), parts)


def test_a_reference_before_the_reform_is_another_day_in_each_calendar(tmp_path):
    """The dates are after it, so both calendars have them: 577,000 days from other days."""
    parts, _ = calendars(tmp_path, "standard", "proleptic_gregorian", units="days since 1500-01-01")
    for number, part in enumerate(parts):
        part["time"] = part["time"] + 182_000
        part["time"].attrs = {
            "units": "days since 1500-01-01",
            "calendar": ("standard", "proleptic_gregorian")[number],
        }
    sets = scanned(tmp_path, parts, (2, *BIG))
    check(refmaker.combine(sets, concat="time"), parts)


@pytest.mark.parametrize(
    ("other", "units"),
    [("noleap", "days since 2000-01-01"), ("proleptic_gregorian", "days since 1500-01-01")],
)
def test_calendars_that_do_not_agree(tmp_path, other, units):
    _, sets = calendars(tmp_path, "standard", other, units=units)
    with pytest.raises(MetadataError, match="calendars") as caught:
        refmaker.combine(sets, concat="time")
    assert "reencode" not in str(caught.value)


def test_boundaries_follow_their_coordinate(tmp_path):
    parts = [dataset(0, 2, shape=BIG), dataset(0, 2, shape=BIG, units="days since 2000-02-01")]
    for part in parts:
        part["time"].attrs["bounds"] = "time_bnds"
        part["time_bnds"] = ("time", "nv"), np.array([[0.0, 1], [1, 2]])
    sets = scanned(tmp_path, parts, (2, *BIG))
    for selector in ("cf:time", "data:time"):
        cube = refmaker.combine(sets, coords={"time": selector})
        check(cube, parts)
        found = refmaker.open_dataset(cube)
        np.testing.assert_array_equal(found["time_bnds"], opened(parts)["time_bnds"])
        assert cube.group["time"].attributes["bounds"] == "time_bnds"


@pytest.mark.parametrize("selector", ["cf:t", "data:t"])
def test_a_scalar_variable_becomes_the_coordinate_that_it_is(tmp_path, selector):
    """As in files of geostationary satellites."""
    parts = []
    for k in range(2):
        seconds = np.float64(86_400 * k + 450)
        attributes = {
            "units": "seconds since 2000-01-01 12:00:00", "standard_name": "time",
            "bounds": "time_bounds", "long_name": "J2000 epoch mid-point",
        }  # fmt: skip
        parts.append(
            xr.Dataset(
                {
                    "rad": (("y", "x"), np.full(BIG, k, "i2")),
                    "t": ((), seconds, attributes),
                    "time_bounds": (("nb",), np.array([seconds - 300, seconds + 300])),
                }
            )
        )
    paths = [write(tmp_path / f"{k}.nc", part, unlimited=()) for k, part in enumerate(parts[::-1])]
    sets = [refmaker.scan(path) for path in paths]
    cube = refmaker.combine(sets, coords={"t": selector}, concat_variables="time_bounds")
    found = refmaker.open_dataset(cube)
    true = xr.concat([xr.decode_cf(part.set_coords("t")) for part in parts], "t")
    np.testing.assert_array_equal(found["t"], true["t"])
    np.testing.assert_array_equal(found["time_bounds"], true["time_bounds"])
    np.testing.assert_array_equal(found["rad"], true["rad"])
    assert cube.group["t"].attributes["long_name"] == "J2000 epoch mid-point"
    with pytest.raises(MetadataError, match="time_bounds"):
        refmaker.combine(sets, coords={"t": "index"}, concat_variables="time_bounds")


@pytest.mark.parametrize("level", [1, 9])
def test_compression_levels_do_not_matter(tmp_path, level):
    parts = [dataset(0, 2, shape=BIG), dataset(2, 2, shape=BIG)]
    paths = [
        write(tmp_path / f"{k}.nc", part, (2, *BIG), encoding={"v": {"complevel": chosen}})
        for k, (part, chosen) in enumerate(zip(parts, (4, level), strict=True))
    ]
    sets = [refmaker.scan(path) for path in paths]
    check(refmaker.combine(sets, concat="time"), parts)
    assert list(refmaker.combine(sets, concat="time", incompatible="split").group.members) == list(
        refmaker.combine(sets, concat="time").group.members
    )
    first = refmaker.combine(sets[:1], concat="time")
    first.write(tmp_path / "cube.json")
    refmaker.append(tmp_path / "cube.json", sets[1:], concat="time")
    check(refmaker.read(tmp_path / "cube.json"), parts)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"id": "zstd", "level": 1}, {"id": "zstd", "level": 7, "checksum": True}, True),
        ({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
         {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 2, "blocksize": 64}, True),
        ({"id": "lzma", "format": 1, "preset": 1}, {"id": "lzma", "format": 3, "preset": 1}, False),
        ({"id": "shuffle", "elementsize": 4}, {"id": "shuffle", "elementsize": 2}, False),
        ({"id": "zlib", "level": 1}, {"id": "gzip", "level": 1}, False),
    ],
    ids=str,
)  # fmt: skip
def test_what_only_encoding_looks_at_does_not_matter(one, other, same):
    def made(number, compressor):
        table = ChunkTable.from_columns(
            (1, 2), [f"{number}.nc"], url=np.zeros(2, "i4"), index=np.arange(2),
            offset=np.arange(2, dtype="u8") * 99, length=np.full(2, 99),
        )  # fmt: skip
        array = Array(
            (1, 2000), (1, 1000), np.dtype("f4"), table, compressor=compressor,
            dimension_names=("time", "x"),
        )  # fmt: skip
        time = Array(
            (1,), (1,), np.dtype("<i4"),
            ChunkTable.inline((1,), {0: np.array([number], "<i4").tobytes()}),
            dimension_names=("time",),
        )  # fmt: skip
        report = ScanReport(f"{number}.nc", sources={f"{number}.nc": Fingerprint(9999)})
        return refmaker.ReferenceSet(Group({"time": time, "v": array}), report)

    sets = [made(0, one), made(1, other)]
    if same:
        assert refmaker.combine(sets, concat="time").group["v"].compressor == one
    else:
        with pytest.raises(MetadataError, match="codec"):
            refmaker.combine(sets, concat="time")


def reworded(tmp_path, **attributes):
    parts = [dataset(0, 2, shape=BIG), dataset(2, 2, shape=BIG)]
    for part in parts:
        part["v"].attrs.update({"units": "K", "valid_min": 0})
    parts[1]["v"].attrs.update(attributes)
    return parts, scanned(tmp_path, parts, (2, *BIG))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("units", "kelvin"),
        ("valid_min", 1),
        ("cell_methods", "time: mean"),
        ("missing_value", -9.0),
    ],
)
def test_every_difference_can_be_settled(tmp_path, name, value):
    parts, sets = reworded(tmp_path, **{name: value})
    with pytest.raises(MetadataError, match=f"attribute {name}") as caught:
        refmaker.combine(sets, concat="time")
    assert f"combine_attrs={{'{name}': 'first'}}" in str(caught.value)
    for policy in ("first", "drop"):
        cube = refmaker.combine(sets, concat="time", combine_attrs={name: policy})
        true = parts[0]["v"].attrs.get(name) if policy == "first" else None
        assert cube.group["v"].attributes.get(name) == true
    with pytest.raises(MetadataError, match=f"attribute {name}"):
        refmaker.combine(sets, concat="time", combine_attrs="first")


def test_the_command_settles_what_it_says_can_be_settled(tmp_path):
    _, sets = reworded(tmp_path, units="kelvin", history="other")
    names = []
    for k, refs in enumerate(sets):
        names.append(str(tmp_path / f"{k}.json"))
        refs.write(names[-1])
    out = str(tmp_path / "cube.json")
    command = ["combine", *names, "-o", out, "--concat", "time"]
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1
    assert "--combine-attrs units=first" in refused.output
    assert CliRunner().invoke(main, [*command, "--combine-attrs", "units=first"]).exit_code == 0
    assert refmaker.read(out).group["v"].attributes["units"] == "K"
    wrong = CliRunner().invoke(main, [*command, "--combine-attrs", "units=mine"])
    assert wrong.exit_code == 2
    packed = CliRunner().invoke(main, [*command, "--combine-attrs", "scale_factor=first"])
    assert packed.exit_code == 2
    assert "packed" in packed.output


def test_a_missing_value_that_says_what_the_fill_value_says(tmp_path):
    parts = [dataset(0, 2, shape=BIG), dataset(2, 2, shape=BIG)]
    encodings = [{"v": {"_FillValue": 1e20, "missing_value": 1e20}}, {"v": {"_FillValue": 1e20}}]
    parts[0]["v"][0, 0, 0] = np.nan
    parts[1]["v"][1, 2, 3] = np.nan
    for order in (1, -1):
        paths = [
            write(tmp_path / f"{k}{order}.nc", part, (2, *BIG), encoding=encoding)
            for k, (part, encoding) in enumerate(zip(parts, encodings[::order], strict=True))
        ]
        check(refmaker.combine([refmaker.scan(p) for p in paths], concat="time"), parts)


def test_one_number_in_two_spellings(tmp_path):
    parts = [dataset(0, 2, shape=BIG), dataset(2, 2, shape=BIG)]
    sets = scanned(tmp_path, parts, (2, *BIG))
    spelled = []
    for refs, value in zip(sets, ("NaN", "AAAAAAAA+H8="), strict=True):
        array = refs.group["v"]
        attributes = {**array.attributes, "_FillValue": value}
        members = {**refs.group.members, "v": replace_attributes(array, attributes)}
        spelled.append(refmaker.ReferenceSet(Group(members), refs.report))
    check(refmaker.combine(spelled, concat="time"), parts)


def replace_attributes(array, attributes):
    from dataclasses import replace

    return replace(array, attributes=attributes, fill_value=np.float32("nan"))
