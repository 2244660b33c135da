"""Names from the table equal those of the installed library, parameter by parameter."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import eccodes
import pytest

from refmaker.scanners.grib import concept_table, concepts
from refmaker.scanners.grib.concepts import lines_of
from refmaker.scanners.grib.names import Sections, names_of
from refmaker.scanners.grib.names_table import table_names
from tests.scanners.grib.messages import message, sections

CENTRES = {"kwbc": 7, "ecmf": 98, "edzw": 78, "egrr": 74, "rjtd": 34}
PLAIN = concepts.table_version() == eccodes.codes_get_api_version()
KINDS = {
    "sourceSinkChemicalPhysicalProcess": (76, 78), "constituentType": (40, 42),
    "is_chemical": (40, 42), "scaledValueOfFirstWavelength": (48, 48), "aerosolType": (50, 46),
    "is_aerosol": (50, 46), "probabilityType": (5, 9), "satelliteSeries": (32, 32),
    "typeOfWavePeriodInterval": (103, 103), "typeOfRelationToReferenceDataset": (105, 105),
    "typeOfDistributionFunction": (57, 67),
}  # fmt: skip
"""Keys of conditions: the template that has them, and that over an interval."""
COMPUTED = ("is_", "stepType", "randomFieldNumber", "gridDefinition", "numberOfGridIn")


def parameters(edition, centre, share):
    """Return every `share`-th entry of the lists that hold for a centre: parameter, conditions."""
    found = {}
    for where in dict.fromkeys(("", centre, "ecmf")):
        for suffix in ("", ".lte33", ".legacy"):
            for line in lines_of(f"{edition}/{where}/shortName{suffix}").values():
                for parameter, rows in json.loads(line).items():
                    for row in rows:
                        found[parameter, json.dumps(row[1:])] = None
    known = [(parameter, json.loads(conditions)) for parameter, conditions in found]
    return known[::share]


def built(parameter, conditions, centre):
    """Return the sections of a message that meets conditions; None where ecCodes makes none."""
    keys = dict(zip(conditions[::2], conditions[1::2], strict=True))
    over = "typeOfStatisticalProcessing" in keys
    template = next((pair[over] for key, pair in KINDS.items() if key in keys), 8 if over else 0)
    numbers = map(int, parameter.split("."))
    names = ("discipline", "parameterCategory", "parameterNumber")
    handle = eccodes.codes_grib_new_from_samples("GRIB2")
    try:
        for key, value in {
            "tablesVersion": 33 if centre == "ecmf" else 32, "centre": centre,
            "productDefinitionTemplateNumber": template, **dict(zip(names, numbers, strict=True)),
            **({"NB": 1} if template == 32 else {}), **keys,
        }.items():  # fmt: skip
            if key.startswith(COMPUTED):
                continue
            if value == "missing()":
                eccodes.codes_set_missing(handle, key)
            else:
                eccodes.codes_set(handle, key, value)
        data = eccodes.codes_get_message(handle)
    except eccodes.CodesInternalError:
        return None
    finally:
        eccodes.codes_release(handle)
    parts = {part[4]: part for part in sections(data)}
    return Sections(2, data[6], parts[1], parts.get(2, b""), parts[3], parts[4])


def same(asked):
    told = table_names(asked)
    if told is None:
        return None
    true = names_of(asked)
    return told == true._replace(member=None, step=None, direction=None, frequency=None)


def compare_2(centre, share):
    known = parameters(2, centre, share)
    made = [(key, built(*key, centre)) for key in known]
    results = {str(key): same(asked) for key, asked in made if asked is not None}
    assert [key for key, result in results.items() if result is False] == []
    assert sum(result is True for result in results.values()) > 0.9 * len(known)


def compare_1(centre, share):
    base = message(1)
    start = 8 + int.from_bytes(base[8:11], "big")
    grid = base[start : start + int.from_bytes(base[start : start + 3], "big")]
    wrong, right, known = [], 0, parameters(1, centre, share)
    for i, (parameter, conditions) in enumerate(known):
        keys = dict(zip(conditions[::2], conditions[1::2], strict=True))
        product = bytearray(base[8:36])
        product[:3] = (28).to_bytes(3, "big")
        product[3], product[8] = map(int, parameter.split("."))
        product[4], product[25] = CENTRES[centre], 0
        product[20] = keys.get("timeRangeIndicator", (0, 0, 4, 3, 10, 2)[i % 6])
        product[9] = keys.get("indicatorOfTypeOfLevel", (1, 100, 105, 109, 112, 111, 200)[i % 7])
        product[10:12] = bytes(
            (keys.get("topLevel", 0), keys.get("bottomLevel", (0, 2, 10)[i % 3]))
        )
        if isinstance(keys.get("level"), int):
            product[10:12] = keys["level"].to_bytes(2, "big")
        result = same(Sections(1, 0, bytes(product), b"", grid, b""))
        right += result is True
        wrong += [parameter] if result is False else []
    assert wrong == []
    assert right > 0.95 * len(known)


@pytest.mark.skipif(not PLAIN, reason="the library is of another version than the table")
@pytest.mark.parametrize("centre", CENTRES)
def test_parameters(centre):
    compare_2(centre, 90)
    compare_1(centre, 24)


@pytest.mark.slow
@pytest.mark.skipif(not PLAIN, reason="the library is of another version than the table")
@pytest.mark.parametrize("centre", CENTRES)
def test_every_parameter(centre):
    compare_2(centre, 1)
    compare_1(centre, 1)


@pytest.mark.skipif(not PLAIN, reason="the library is of another version than the table")
def test_the_table_is_what_the_library_holds(tmp_path):
    path = tmp_path / "again.json.gz"
    concept_table.main(path)
    # Compressed by another Python parts have other headers and sizes.
    with gzip.open(concepts._PATH) as ours, gzip.open(path) as theirs:
        assert list(json.loads(ours.readline())) == list(json.loads(theirs.readline()))
        assert ours.read() == theirs.read()
    assert path.stat().st_size < 1_000_000


@pytest.mark.skipif(not PLAIN, reason="the library is of another version than the table")
@pytest.mark.parametrize("first", [1, 2, 8, 99, 100, 101, 103, 106, 109, 114, 117, 151, 168, 200])
def test_types_of_levels(first):
    # Of every type of surface, single and as a layer, with and without a value.
    for second, values in ((255, False), (255, True), (first, True), (8, True), (100, True)):
        keys = {"typeOfFirstFixedSurface": first, "typeOfSecondFixedSurface": second}
        if values:
            keys |= {"scaleFactorOfFirstFixedSurface": 1, "scaledValueOfFirstFixedSurface": 25}
        if values and second != 255:
            keys |= {"scaleFactorOfSecondFixedSurface": 0, "scaledValueOfSecondFixedSurface": 7}
        conditions = [part for pair in keys.items() for part in pair]
        for centre in ("kwbc", "ecmf"):
            asked = built("0.0.0", conditions, centre)
            assert asked is None or same(asked) in (True, None), (first, second, values, centre)


@pytest.mark.skipif(not PLAIN, reason="the library is of another version than the table")
def test_real_sections():
    for edition in (1, 2):
        for name in ("t", "u", "gh", "2t", "10u", "msl", "tp", "sp"):
            data = message(edition, shortName=name)
            if edition == 2:
                parts = {part[4]: part for part in sections(data)}
                local = parts.get(2, b"")
                asked = Sections(2, data[6], parts[1], local, parts[3], parts[4])
            else:
                end = 8 + int.from_bytes(data[8:11], "big")
                asked = Sections(1, 0, data[8:end], b"", data[end : end + 32], b"")
            assert same(asked) is True


def test_where_the_library_is_asked(monkeypatch):
    parts = {part[4]: part for part in sections(message(shortName="t"))}
    asked = Sections(2, 0, parts[1], b"", parts[3], parts[4])
    assert table_names(asked) is not None
    # Definitions of one's own; a project with names of its own; a local section of another kind.
    status = parts[1][:19] + b"\x06" + parts[1][20:]
    assert table_names(asked._replace(product=status)) is None
    assert table_names(asked._replace(local=bytes((0, 0, 0, 9, 2, 1, 44, 0, 0)))) is None
    assert table_names(asked._replace(what=parts[4][:7] + b"\x7f\xff" + parts[4][9:])) is None
    monkeypatch.setenv("ECCODES_DEFINITION_PATH", "/somewhere")
    assert table_names(asked) is None


CODE = """
import subprocess, sys
started = []
run = subprocess.Popen.__init__
subprocess.Popen.__init__ = lambda *a, **k: started.append(a) or run(*a, **k)
import refmaker
group = refmaker.scan(sys.argv[1]).group
print(len(started), "eccodes" in sys.modules, [path for path, _ in group.arrays()][0])
"""


def test_one_message_needs_no_other_process(tmp_path):
    path = tmp_path / "one.grib2"
    path.write_bytes(message(shortName="2t"))

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    words = run("-c", CODE, str(path)).split()
    assert words == ["0", "False", "heightAboveGround/instant/t2m"]


@pytest.mark.skipif(not PLAIN, reason="the library is of another version than the table")
@pytest.mark.parametrize("factor", [-4, -2, -1, 0, 1, 2])
@pytest.mark.parametrize("value", [0, 1, 50])
def test_layers_from_a_pressure_close_to_nothing(factor, value):
    """Both ends are in pascals below one hectopascal, but not where 0 is scaled."""
    conditions = [
        "typeOfFirstFixedSurface", 100, "scaleFactorOfFirstFixedSurface", factor,
        "scaledValueOfFirstFixedSurface", value, "typeOfSecondFixedSurface", 100,
        "scaleFactorOfSecondFixedSurface", -2, "scaledValueOfSecondFixedSurface", 400,
    ]  # fmt: skip
    assert same(built("0.6.22", conditions, "kwbc"))
