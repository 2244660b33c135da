"""Archives as weather services write them: every field is found, placed, and where ecCodes says.

Whatever the order of files and of messages in them.
"""

from __future__ import annotations

import functools
import itertools
from datetime import UTC, datetime

import eccodes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refmaker
from refmaker.combine.members import Member
from refmaker.combine.values import read_values
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanning.options import ScanOptions
from tests.scanners.grib.messages import message, sections
from tests.scanners.grib.test_identity import product_of, with_local

_seeds = itertools.count(1)
SURFACE = {"typeOfFirstFixedSurface": 1}
HEIGHT = {
    "typeOfFirstFixedSurface": 103, "scaleFactorOfFirstFixedSurface": 0,
    "scaledValueOfFirstFixedSurface": 2,
}  # fmt: skip
TEN_METRES = {**HEIGHT, "scaledValueOfFirstFixedSurface": 10}


def field(category, number, step, **keys):
    """Return a field of edition 2 at a step, or over an interval of a beginning and an end."""
    if isinstance(step, tuple):
        begin, end = step
        when = {"stepRange": f"{begin}-{end}"}
        first = {"productDefinitionTemplateNumber": keys.pop("template", 8)}
    else:
        when = {"forecastTime": step}
        first = {"productDefinitionTemplateNumber": keys.pop("template", 0)}
    parameter = {"parameterCategory": category, "parameterNumber": number}
    return message(seed=next(_seeds), **first, **keys, **parameter, **when)


def level(value):
    return {
        "typeOfFirstFixedSurface": 100, "scaleFactorOfFirstFixedSurface": 0,
        "scaledValueOfFirstFixedSurface": 100 * value,
    }  # fmt: skip


def run(hour):
    return {"dataDate": 20240115, "dataTime": 100 * hour}


def gfs():
    """Yield files: hour 0 has no sums and another process; buckets of 6 hours, and run totals."""
    for hour, step in itertools.product((0, 6), (0, 3, 6, 9, 12)):
        keys = {"centre": 7, **run(hour), "generatingProcessIdentifier": 96 if step else 81}
        parts = [field(0, 0, step, **keys, **level(pressure)) for pressure in (1000, 500)]
        parts.append(field(0, 0, step, **keys, **HEIGHT))
        if step:
            bucket = step - (step % 6 or 6)
            parts += [
                field(1, 8, (begin, step), **keys, **SURFACE, stepType="accum")
                for begin in (bucket, 0)
            ]
            parts.append(field(0, 4, (bucket, step), **keys, **HEIGHT, stepType="max"))
        yield parts


def hrrr():
    """Yield files: intervals without a length at hour 0, quarters of an hour beside hours."""
    for hour, step in itertools.product((0, 1), (0, 1, 2)):
        keys = {"centre": 7, **run(hour), "generatingProcessIdentifier": 83}
        begin = max(0, step - 1)
        yield [
            field(0, 0, step, **keys, **HEIGHT),
            field(2, 22, (begin, step), **keys, **SURFACE, stepType="max"),
            field(1, 8, (0, step), **keys, **SURFACE, stepType="accum"),
            *(
                [field(2, 1, 60 * step - 15, **keys, **SURFACE, indicatorOfUnitOfTimeRange=0)]
                if step else []
            ),
        ]  # fmt: skip


def gefs():
    """Yield files: a control and members, each in a file of its own, and what is derived."""
    for number, step in itertools.product(range(3), (0, 6)):
        keys = {"centre": 7, **run(0), "generatingProcessIdentifier": 107}
        member = {
            "template": 1, "typeOfEnsembleForecast": 3 if number else 1,
            "perturbationNumber": number, "numberOfForecastsInEnsemble": 30,
        }  # fmt: skip
        yield [
            field(0, 0, step, **{**member, **keys}, **HEIGHT),
            field(3, 1, step, **{**member, **keys}, typeOfFirstFixedSurface=101),
        ]
    for kind in (0, 4):
        derived = {"template": 2, "derivedForecast": kind, "numberOfForecastsInEnsemble": 30}
        yield [field(0, 0, step, **derived, **keys, **HEIGHT) for step in (0, 6)]


def sref():
    """Yield files: negative and positive members of equal numbers."""
    for kind, number in itertools.product((2, 3), (1, 2)):
        member = {
            "template": 1, "typeOfEnsembleForecast": kind, "perturbationNumber": number,
            "centre": 7, **run(9),
        }  # fmt: skip
        yield [field(0, 0, step, **member, **HEIGHT) for step in (3, 6)]


def ifs():
    """Yield files: control and members in one, totals since the start, maxima of 3 hours."""
    for hour, step in itertools.product((0, 12), (3, 6)):
        keys = {"centre": 98, **run(hour)}
        members = [
            {
                "typeOfEnsembleForecast": 3 if number else 1, "perturbationNumber": number,
                "typeOfProcessedData": 4 if number else 3,
            }
            for number in range(3)
        ]  # fmt: skip
        yield [
            *(field(0, 0, step, template=1, **one, **keys, **HEIGHT) for one in members),
            *(
                field(1, 193, (0, step), template=11, **one, **keys, **SURFACE, stepType="accum")
                for one in members
            ),
            *(
                field(2, 22, (step - 3, step), template=11, **one, **keys, **TEN_METRES,
                      stepType="max")
                for one in members
            ),
        ]  # fmt: skip


def icon():
    """Yield files: one variable, level and step each, with the time of writing in section 2."""
    clock = itertools.count()
    for hour, step in itertools.product((0, 6), (0, 1, 2)):
        keys = {"centre": 78, **run(hour)}
        parts = [field(0, 0, step, **keys, **level(pressure)) for pressure in (850, 500)]
        parts.append(field(0, 0, step, **keys, **HEIGHT))
        if step:
            parts.append(field(1, 52, (0, step), **keys, **SURFACE, stepType="accum"))
        for part in parts:
            number = next(clock)
            written = bytes((0, 253, 1)) + bytes((7, 232, 1, 15, 5, number // 60, number % 60))
            yield [with_local(part, written + bytes(10))]


def era5():
    """Yield files of edition 1: analyses of hours, and sums of twice 3 steps a day."""
    era = {"centre": 98, "setLocalDefinition": 1, "localDefinitionNumber": 1, "class": 23}
    for day in (1, 2):
        date = {**era, "dataDate": 20240100 + day}
        parts = [
            message(1, seed=next(_seeds), **date, dataTime=100 * hour, type=2, paramId=130,
                    level=pressure)
            for hour, pressure in itertools.product((0, 6, 12), (850, 500))
        ]  # fmt: skip
        parts += [
            message(1, seed=next(_seeds), **date, dataTime=100 * hour, type=9, paramId=228,
                    indicatorOfTypeOfLevel=1, level=0, timeRangeIndicator=4, P1=step - 1, P2=step)
            for hour, step in itertools.product((6, 18), (1, 2, 3))
        ]  # fmt: skip
        yield parts


MODELS = {made.__name__: made for made in (gfs, hrrr, gefs, sref, ifs, icon, era5)}


@functools.cache
def archive_of(name):
    """Return the files of a model, and what ecCodes says of each of their messages."""
    files = [list(parts) for parts in MODELS[name]()]
    return files, {part: truth(part) for part in itertools.chain(*files)}


def truth(part):
    """Return what places a field, as ecCodes says it."""
    handle = eccodes.codes_new_from_message(part)
    try:
        day, clock = (eccodes.codes_get(handle, key) for key in ("dataDate", "dataTime"))
        when = datetime(day // 10000, day // 100 % 100, day % 100, clock // 100, clock % 100,
                        tzinfo=UTC)  # fmt: skip
        name = eccodes.codes_get(handle, "paramId", int)
        # Whole seconds: ecCodes' own units hide minutes.
        eccodes.codes_set(handle, "stepUnits", "m" if len(part) and part[7] == 2 else "h")
        unit = 60 if part[7] == 2 else 3600
        ends = [eccodes.codes_get(handle, key, int) * unit for key in ("startStep", "endStep")]
        number = 0
        if eccodes.codes_is_defined(handle, "perturbationNumber"):
            number = eccodes.codes_get(handle, "perturbationNumber", int)
        if part[7] == 2 and eccodes.codes_is_defined(handle, "typeOfEnsembleForecast"):
            negative = eccodes.codes_get(handle, "typeOfEnsembleForecast", int) == 2
            number = -number if negative else number
        found = {
            "time": int(when.timestamp()), "step": ends, "number": number,
            "level": eccodes.codes_get(handle, "level", float),
            "name": name,
        }  # fmt: skip
        return found | {"type": eccodes.codes_get(handle, "typeOfLevel", str)}
    finally:
        eccodes.codes_release(handle)


def product(part):
    """Return what a field is, and who made it, by its octets."""
    if part[7] == 1:
        return bytes(part[8 + at] for at in (3, 4, 5, 8, 9, 25)), part[8 + 20] > 1
    if part[20 + 21 : 20 + 22] == b"\2" or sections(part)[1][4] == 2:
        # Local sections of ICON: clocks.
        rest = b"".join(one for one in sections(part) if one[4] != 2)
        part = part[:8] + (len(rest) + 20).to_bytes(8, "big") + rest + b"7777"
    head, what = product_of(part)
    # The process of NCEP's hour 0 is that of later hours by another number; controls are members.
    kind = sections(part)[0][5:7], what[13]
    what = what[:13] + (b"\x60" if kind == (b"\0\7", 81) else what[13:14]) + what[14:]
    return head[:20] + (b"\4" if head[20] in (3, 5) else head[20:21]) + head[21:], what


def checked(refs, files, true):
    """See that every message lies in one place, the one that ecCodes says."""
    member = Member(0, refs)
    seen = []
    for path, array in refs.group.arrays():
        if (array.compressor or {}).get("id") != "refmaker.grib":
            continue
        home, _, _ = path.rpartition("/")
        group = refs.group
        for name in home.split("/"):
            group = group.members[name]
        names = [*array.dimension_names, *array.attributes["coordinates"].split()]
        found = {
            name: (group.members[name], read_values([(member, path, group.members[name])])[0])
            for name in {*names, *(f"{name}_bounds" for name in names)} if name in group.members
        }  # fmt: skip
        products = set()
        for number, row in zip(
            array.chunks.numbers().tolist(), range(array.chunks.referenced), strict=True
        ):
            url = array.chunks.urls[0 if array.chunks.url is None else int(array.chunks.url[row])]
            offset, length = int(array.chunks.offset[row]), int(array.chunks.length[row])
            part = files[url][offset : offset + length]
            seen.append((url, offset))
            products.add(product(part))
            at = dict(zip(array.dimension_names, np.unravel_index(number, array.chunks.grid),
                          strict=True))  # fmt: skip
            told = {
                name: values[tuple(at.get(d, 0) for d in one.dimension_names if d != "bounds")]
                for name, (one, values) in found.items()
            }  # fmt: skip
            compare(true[part], told, array)
        assert len(products) == 1, path
    return seen


def compare(true, told, array):
    """Compare the coordinates of a field with what ecCodes says."""
    assert array.attributes.get("GRIB_paramId", 0) == true["name"]
    assert array.attributes["GRIB_typeOfLevel"] == true["type"]
    for name, value in told.items():
        kind = name.partition("_")[0]
        if kind in ("time", "number"):
            assert value == true[kind], name
        elif kind == "step" and name.endswith("_bounds"):
            assert value.tolist() == true["step"], name
        elif kind == "step":
            assert value == true["step"][1], name
        elif kind == true["type"] and not name.endswith("_bounds"):
            assert value == true["level"], name


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=8)
@given(random=st.randoms(use_true_random=False))
def test_every_field_is_where_eccodes_says(tmp_path_factory, name, random):
    parts, true = archive_of(name)
    folder = tmp_path_factory.mktemp(name)
    files = {}
    for number, which in enumerate(random.sample(parts, len(parts))):
        path = folder / f"{number:03}.grib"
        files[str(path)] = b"".join(random.sample(which, len(which)))
        path.write_bytes(files[str(path)])
    urls = random.sample(list(files), len(files))
    group, report = GRIBScanner().collect(urls, None, ScanOptions())
    counts = group.attributes["refmaker:fields"]
    assert counts["found"] == len(true) == counts["placed"]
    seen = checked(refmaker.ReferenceSet(group, report), files, true)
    assert len(seen) == len(set(seen)) == len(true)
    # Nor do names and coordinates depend on any order.
    told = sorted(
        (path, array.shape, array.chunks.present) for path, array in group.arrays()
    )  # fmt: skip
    assert _trees.setdefault(name, told) == told


_trees: dict[str, list[object]] = {}


def test_fields_are_summed_up_over_archives(tmp_path):
    # A copy of a file, and a field of no month.
    parts, _ = archive_of("gfs")
    for number, file in enumerate([*parts, parts[0]]):
        (tmp_path / f"{number}.grib2").write_bytes(b"".join(file))
    broken = bytearray(parts[1][0])
    broken[16 + 14] = 13
    (tmp_path / "z.grib2").write_bytes(bytes(broken))
    urls = [str(path) for path in tmp_path.iterdir()]
    group, _ = GRIBScanner().collect(urls, None, ScanOptions())
    counts = group.attributes["refmaker:fields"]
    total = sum(map(len, parts))
    assert counts == {
        "found": total + len(parts[0]) + 1, "placed": total, "duplicates": len(parts[0]),
        "unsorted": 1,
    }  # fmt: skip
