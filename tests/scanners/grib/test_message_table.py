"""The columns of the message table are what ecCodes says of each field."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import eccodes
import numpy as np
import pytest

from refmaker.io.source import Source
from refmaker.scanners.grib import reader, walk
from refmaker.scanners.grib.field_rows import COLUMNS
from refmaker.scanners.grib.fields import FieldList
from refmaker.scanners.grib.file_fields import file_fields
from refmaker.scanners.grib.message_table import joined
from refmaker.scanners.grib.products import ABSENT
from refmaker.scanners.grib.templates import COMPOSITION, template_octets
from refmaker.scanners.grib.times import UNKNOWN
from tests.corpora import CORPUS
from tests.scanners.grib.messages import fields, get, message, sections

FILES = sorted(path for path in CORPUS.glob("grib/**/*") if path.is_file())


def table_of(path):
    with Source(path) as source, reader.HeaderReader(source) as headers:
        found = FieldList()
        walk.MessageWalk(headers, found).all()
    return joined([file_fields(found)])


def seconds(day, clock, second=0):
    when = datetime(day // 10000, day // 100 % 100, day % 100, clock // 100, clock % 100,
                    tzinfo=UTC)  # fmt: skip
    return int(when.timestamp()) + second


def level_of_eccodes(names, level):
    """Cut pressures as ecCodes does, which knows whole hectopascals only."""
    return float(int(level)) if names.type_of_level == "isobaricInhPa" else level


def differences(path):
    whole = table_of(path)
    table = SimpleNamespace(
        names=whole.shared.names, **{name: whole.column(name) for name in COLUMNS}
    )
    row = -1
    for row, handle in enumerate(fields(path)):
        names = table.names[table.template[row]]
        told = {
            "typeOfLevel": names.type_of_level,
            "stepType": names.step_type,
            "level": level_of_eccodes(names, float(table.level[row])),
            "number": None if table.member[row] == ABSENT else int(table.member[row]),
            "paramId": names.attributes.get("GRIB_paramId"),
            "cfVarName": names.name,
        }
        for key, value in told.items():
            true = get(handle, key, float if key == "level" else None)
            if true not in (None, "unknown", 0) and true != value:
                yield f"field {row}: {key} is {true!r} for ecCodes, {value!r} here"
        day, clock = get(handle, "validityDate"), get(handle, "validityTime")
        if day and day < 99999999 and table.end[row] != UNKNOWN:
            valid = int(table.reference[row] + table.end[row])
            if table.until[row] != UNKNOWN:
                valid = int(table.until[row])
            second = get(handle, "second") or 0
            if valid not in (seconds(day, clock), seconds(day, clock, second)):
                yield f"field {row}: valid at {day} {clock} for ecCodes, {valid} here"
    if row + 1 != len(whole):
        yield f"{row + 1} fields for ecCodes, {len(whole)} here"


@pytest.mark.skipif(not FILES, reason="the corpus is not there; see REFMAKER_CORPUS")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_files(path):
    assert list(differences(path)) == []


def test_octets_of_templates_are_those_of_eccodes():
    for template in COMPOSITION:
        handle = eccodes.codes_grib_new_from_samples("GRIB2")
        eccodes.codes_set(handle, "productDefinitionTemplateNumber", template)
        data = eccodes.codes_get_message(handle)
        what = next(part for part in sections(data) if part[4] == 4)
        octets = template_octets(what)
        assert octets is not None, template
        keys = {
            "forecastTime": octets.unit and octets.unit + 1,
            "typeOfFirstFixedSurface": octets.surfaces, "perturbationNumber": octets.member,
            "percentileValue": octets.percentile, "probabilityType": octets.limits,
            "yearOfEndOfOverallTimeInterval": octets.interval, "derivedForecast": octets.derived,
        }  # fmt: skip
        for key, octet in keys.items():
            there = bool(eccodes.codes_is_defined(handle, key))
            if not octet:
                assert not there, (template, key)
                continue
            assert eccodes.codes_get_offset(handle, key) == data.index(what) + octet - 1
        eccodes.codes_release(handle)


@pytest.mark.parametrize(
    ("template", "keys"),
    [
        (8, {"numberOfTimeRanges": 3}), (11, {"numberOfTimeRanges": 2}),
        (32, {"NB": 4}), (34, {"NB": 3, "numberOfTimeRanges": 2}), (51, {"numberOfCategories": 2}),
        (3, {"numberOfForecastsInTheCluster": 5}), (14, {"numberOfForecastsInTheCluster": 2}),
        (53, {"numberOfPartitions": 3}), (57, {"numberOfDistributionFunctionParameters": 2}),
        (99, {"numberOfWaveDirections": 3, "numberOfWaveFrequencies": 4}),
        (112, {"numberOfReferencePeriodTimeRanges": 2}),
    ],
)  # fmt: skip
def test_counts_in_templates(template, keys):
    handle = eccodes.codes_grib_new_from_samples("GRIB2")
    eccodes.codes_set(handle, "productDefinitionTemplateNumber", template)
    for key, value in keys.items():
        eccodes.codes_set(handle, key, value)
    data = eccodes.codes_get_message(handle)
    what = next(part for part in sections(data) if part[4] == 4)
    octets = template_octets(what)
    assert octets is not None
    assert octets.counts
    assert sum(size for _, size in octets.components.values()) + 9 == len(what)
    if octets.member:
        offset = eccodes.codes_get_offset(handle, "perturbationNumber")
        assert offset == data.index(what) + octets.member - 1
    eccodes.codes_release(handle)
    assert template_octets(what[:-1]) is None


def test_fields_of_one_template_are_asked_about_once(tmp_path):
    path = tmp_path / "file.grib"
    path.write_bytes(
        b"".join(
            message(shortName="t", level=level, forecastTime=step, dataDate=date)
            for level in (1000, 850, 500) for step in (0, 6, 300) for date in (20240101, 20250505)
        )
    )  # fmt: skip
    table = table_of(path).shared
    assert len(table.names) == 1
    # Nor again for another file of the series.
    path.write_bytes(message(shortName="t", level=700, forecastTime=9, dataDate=20260101))
    again = table_of(path).shared
    assert again.names[0] is table.names[0]
    assert np.unique(table.level).tolist() == [500, 850, 1000]


def test_names_without_eccodes(tmp_path, monkeypatch):
    from refmaker.scanners.grib import eccodes_process

    path = tmp_path / "file.grib"
    path.write_bytes(message(shortName="t", level=850) + message(1, shortName="t", level=500))
    monkeypatch.setitem(__import__("sys").modules, "eccodes", None)
    eccodes_process.forget()
    try:
        # The table of definitions names both.
        assert [n.name for n in table_of(path).shared.names] == ["t", "t"]
        eccodes_process.forget()
        monkeypatch.setattr(eccodes_process, "table_names", lambda _: None)
        table = table_of(path).shared
    finally:
        eccodes_process.forget()
    assert [n.name for n in table.names] == ["d0c0n0", "t128p130"]
    assert [n.step_type for n in table.names] == ["instant", "instant"]
