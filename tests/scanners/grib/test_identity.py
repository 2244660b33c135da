"""Fields of different products never share a variable, whatever their order and places."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict

import eccodes
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refmaker
from refmaker.io.source import Source
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanners.grib.templates import COMPOSITION, template_octets
from refmaker.scanning.options import ScanOptions
from tests.scanners.grib.messages import message, sections


def scan(path, parts, **chosen):
    path.write_bytes(b"".join(parts))
    with Source(path) as source:
        return GRIBScanner().scan(source, ScanOptions(settings=chosen))[0]


def fields(group):
    """Return by path of each variable the offsets of its fields."""
    return {
        path: sorted(array.chunks.offset.tolist())
        for path, array in group.arrays()
        if (array.compressor or {}).get("id") == "refmaker.grib"
    }


def names(group):
    return {path.rpartition("/")[2] for path in fields(group)}


def both_ways(path, parts, **chosen):
    """Scan fields in both orders; their names have to be the same. Return the first group."""
    turned = names(scan(path, parts[::-1], **chosen))
    group = scan(path, parts, **chosen)
    assert names(group) == turned
    counts = group.attributes["refmaker:fields"]
    assert counts["found"] == len(parts) == counts["placed"] + counts["duplicates"]
    return group


def optical(wavelength, step, second=None, **keys):
    keys = {
        "scaleFactorOfFirstWavelength": 9, "scaledValueOfFirstWavelength": wavelength, **keys,
    }  # fmt: skip
    if second:
        keys |= {"scaleFactorOfSecondWavelength": 9, "scaledValueOfSecondWavelength": second}
    return message(
        productDefinitionTemplateNumber=48, parameterCategory=20, parameterNumber=102,
        forecastTime=step, **keys,
    )  # fmt: skip


def test_wavelengths(tmp_path):
    # At other steps, too, where nothing shows that they differ.
    parts = [optical(443, 3), optical(443, 6), optical(520, 3), optical(551, 6)]
    group = both_ways(tmp_path / "f.grib2", parts)
    ends = {name.rpartition("_")[2]: len(offsets) for name, offsets in fields(group).items()}
    assert ends == {"443nm": 2, "520nm": 1, "551nm": 1}
    wavelengths = {
        array.attributes["GRIB_wavelength"]
        for path, array in group.arrays()
        if path in fields(group)
    }
    assert wavelengths == {4.43e-7, 5.2e-7, 5.51e-7}


def test_bands_of_wavelengths(tmp_path):
    group = both_ways(tmp_path / "f.grib2", [optical(440, 3, 460), optical(440, 6, 470)])
    assert {name.partition("_")[2] for name in names(group)} == {"440nm_460nm", "440nm_470nm"}


def brightness(number, step):
    handle = eccodes.codes_grib_new_from_samples("GRIB2")
    for key, value in (
        ("productDefinitionTemplateNumber", 32), ("NB", 1), ("satelliteNumber", 72),
        ("instrumentType", 207), ("scaledValueOfCentralWaveNumber", number),
        ("scaleFactorOfCentralWaveNumber", 0), ("forecastTime", step),
    ):  # fmt: skip
        eccodes.codes_set(handle, key, value)
    made = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return made


def test_satellite_channels(tmp_path):
    parts = [brightness(number, step) for number, step in ((9, 3), (7, 3), (7, 6), (9, 6), (5, 9))]
    group = both_ways(tmp_path / "f.grib2", parts)
    found = {name.rpartition("_sat")[2]: len(rows) for name, rows in fields(group).items()}
    assert found == {"72_207_9": 2, "72_207_7": 2, "72_207_5": 1}


def member(kind, number, step=6, **keys):
    return message(
        productDefinitionTemplateNumber=1, shortName="t", typeOfEnsembleForecast=kind,
        perturbationNumber=number, forecastTime=step, **keys,
    )  # fmt: skip


@pytest.mark.parametrize("step", [6, 9])
def test_negative_and_positive_members(tmp_path, step):
    parts = [member(2, 1), member(2, 2), member(3, 1, step), member(3, 2, step)]
    group = both_ways(tmp_path / "f.grib2", parts)
    assert list(fields(group).values()) == [[0, *(len(parts[0]) * i for i in (1, 2, 3))]]
    axis = group["isobaricInhPa/instant/number"]
    assert list(memoryview(axis.chunks.inlined[0]).cast("q")) == [-2, -1, 1, 2]


def test_two_controls(tmp_path):
    parts = [member(0, 0), member(1, 0), member(3, 1)]
    assert names(both_ways(tmp_path / "f.grib2", parts)) == {"t_hires", "t_lowres", "t_kind3"}


def test_controls_and_members_are_one_ensemble(tmp_path):
    parts = [
        member(1, 0, typeOfProcessedData=3), member(3, 1, typeOfProcessedData=4),
        member(3, 2, typeOfProcessedData=4, numberOfForecastsInEnsemble=9),
    ]  # fmt: skip
    assert names(both_ways(tmp_path / "f.grib2", parts)) == {"t"}


@pytest.mark.parametrize("steps", [(6, 6, 6), (6, 9, 12)])
def test_processes(tmp_path, steps):
    parts = [
        message(shortName="t", generatingProcessIdentifier=number, forecastTime=step)
        for number, step in zip((96, 105, 116), steps, strict=True)
    ]
    group = both_ways(tmp_path / "f.grib2", parts)
    assert names(group) == {"t_process96", "t_process105", "t_process116"}
    told = {a.attributes.get("GRIB_generatingProcessIdentifier") for _, a in group.arrays()}
    assert told >= {96, 105, 116}


def test_the_analysis_of_a_model_is_its_hour_0(tmp_path):
    # As GFS has it: process 81 in the file of hour 0, 96 in the others.
    parts = [
        message(shortName="t", centre=7, generatingProcessIdentifier=process, forecastTime=step)
        for process, step in ((81, 0), (96, 3), (96, 6))
    ]
    group = both_ways(tmp_path / "f.grib2", parts)
    assert names(group) == {"t"}
    # But not where both are of one hour.
    more = [*parts, message(shortName="t", centre=7, generatingProcessIdentifier=96)]
    assert names(both_ways(tmp_path / "f.grib2", more)) == {"t_process81", "t_process96"}


@pytest.mark.parametrize(
    ("key", "values", "labels"),
    [
        ("centre", (7, 98, 78), ("kwbc", "ecmf", "edzw")),
        ("subCentre", (0, 4), ("subcentre0", "subcentre4")),
        ("productionStatusOfProcessedData", (0, 1), ("status0", "status1")),
        ("typeOfProcessedData", (0, 1), ("an", "fc")),
        ("typeOfGeneratingProcess", (0, 2), ("generation0", "generation2")),
        ("backgroundProcess", (1, 2), ("background1", "background2")),
        ("hoursAfterDataCutoff", (3, 12), ("cutoff3h0min", "cutoff12h0min")),
    ],
)
@pytest.mark.parametrize("apart", [0, 6])
def test_who_made_it(tmp_path, key, values, labels, apart):
    parts = [
        message(minutesAfterDataCutoff=0, **{key: value}, paramId=130, forecastTime=apart * i)
        for i, value in enumerate(values)
    ]
    found = {name.partition("_")[2] for name in names(both_ways(tmp_path / "f.grib2", parts))}
    # The type of data stands for itself; centres bring their own names of parameters along.
    assert found == set(labels)


def test_significance_of_the_reference_time(tmp_path):
    parts = [message(shortName="t", significanceOfReferenceTime=value) for value in (0, 1, 2, 3)]
    group = both_ways(tmp_path / "f.grib2", parts[1:])
    assert names(group) == {"t_forecast", "t_verifying", "t_observed"}
    assert names(both_ways(tmp_path / "f.grib2", parts[2:3])) == {"t_verifying"}
    assert names(both_ways(tmp_path / "f.grib2", parts[3:])) == {"t"}
    assert names(both_ways(tmp_path / "f.grib2", parts[:2])) == {"t"}


@pytest.mark.parametrize("edition", [1, 2])
def test_local_sections_of_ecmwf(tmp_path, edition):
    def made(step, **keys):
        return message(edition, shortName="t", setLocalDefinition=1, forecastTime=step, **keys)

    if edition == 1:

        def made(step, **keys):
            return message(1, shortName="t", setLocalDefinition=1, startStep=step, **keys)

    versions = [made(0, experimentVersionNumber="0001"), made(6, experimentVersionNumber="abcd")]
    assert names(both_ways(tmp_path / "f.grib2", versions)) == {"t_expver0001", "t_expverabcd"}
    streams = [made(0, stream="oper"), made(6, stream="enfo")]
    assert names(both_ways(tmp_path / "f.grib2", streams)) == {"t_oper", "t_enfo"}


def test_clocks_in_local_sections_do_not_count(tmp_path):
    parts = []
    for i in range(120):
        one = sections(message(shortName="t", centre=78, forecastTime=i % 12, level=100 + i // 12))
        clock = bytes.fromhex("0000001b0200fe00") + bytes((7, 232, 1, 15, 4, i // 60, i % 60))
        body = b"".join([one[0], clock + bytes(11) + b"\1", *one[1:]])
        head = b"GRIB\0\0\0\2" + (len(body) + 20).to_bytes(8, "big")
        parts.append(head + body + b"7777")
    group = both_ways(tmp_path / "f.grib2", parts)
    assert [len(rows) for rows in fields(group).values()] == [120]


def tile(index, attribute, step=1):
    return message(
        productDefinitionTemplateNumber=55, forecastTime=step, tileIndex=index,
        attributeOfTile=attribute, parameterCategory=0, parameterNumber=0,
    )  # fmt: skip


def test_tiles(tmp_path):
    parts = [tile(1, 2), tile(2, 2), tile(3, 2), tile(3, 1, 2), tile(1, 2, 4)]
    group = both_ways(tmp_path / "f.grib2", parts)
    ends = {name.partition("_")[2]: len(rows) for name, rows in fields(group).items()}
    assert ends == {"tile1_2": 2, "tile2_2": 1, "tile3_2": 1, "tile3_1": 1}


def test_edition_1(tmp_path):
    parts = [
        message(1, indicatorOfParameter=130, generatingProcessIdentifier=process, startStep=step)
        for process, step in ((130, 0), (140, 6), (140, 12))
    ]
    assert names(both_ways(tmp_path / "f.grib", parts)) == {"t_process130", "t_process140"}


@pytest.mark.parametrize("layout", ["tree", "kerchunk", "flat", "cfgrib"])
def test_every_layout(tmp_path, layout):
    parts = [
        message(shortName="t", generatingProcessIdentifier=number, forecastTime=step)
        for number, step in ((96, 0), (105, 6), (96, 12))
    ]
    group = scan(tmp_path / "f.grib2", parts, **{"grib-grouping": layout})
    size = len(parts[0])
    assert sorted(fields(group).values()) == [[0, 2 * size], [size]]


_PLACING = {
    # By component: the octets in it that place a field, or may differ from field to field.
    "time": (3, 8), "short_time": (3, 6), "percentile": (0, 1), "member": (0, 3),
    "large_member": (0, 9), "derived": (1, 2), "large_derived": (1, 5), "rectangle": (1, 32),
    "circle": (1, 28), "cluster": (0, 255), "probability": (0, 2), "wave": (0, 8),
    "statistical": (0, 12),
}  # fmt: skip
_MORE = {"surfaces": ((1, 6), (7, 12)), "probability": ((3, 13),)}


def product_of(data):
    """Return all octets of sections 1 and 4 but those that place a field, by an own reading."""
    one = sections(data)
    (what,) = [bytearray(part) for part in one if part[4] == 4]
    octets = template_octets(bytes(what))
    for name, (at, size) in octets.components.items():
        spans = [_PLACING.get(name, (0, 0)), *_MORE.get(name, ())]
        if name == "statistical":
            spans += [(start + 2, start + 12) for start in range(12, size, 12)]
        for first, last in spans:
            last = min(last, size)  # noqa: PLW2901 - of lists as long as they are
            what[at - 1 + first : at - 1 + last] = bytes(last - first)
    head = bytearray(one[0])
    head[9:11] = bytes(2)
    head[11] = 0 if head[11] < 2 else head[11]
    head[12:19] = bytes(7)
    return bytes(head), bytes(what)


_TEMPLATES = [number for number in COMPOSITION if number not in (30, 31, 35, 1000, 1001)]


@st.composite
def archives(draw):
    """Fields of one or two templates whose octets differ anywhere in few values."""
    parts = []
    for template in draw(st.lists(st.sampled_from(_TEMPLATES), min_size=1, max_size=2)):
        handle = eccodes.codes_grib_new_from_samples("GRIB2")
        eccodes.codes_set(handle, "productDefinitionTemplateNumber", template)
        one = sections(eccodes.codes_get_message(handle))
        eccodes.codes_release(handle)
        octets = template_octets(one[2])
        open_to = set(range(12, len(one[2]) + 1)) - set(octets.counts)
        chosen = draw(st.lists(st.sampled_from(sorted(open_to)), max_size=3))
        for _ in range(draw(st.integers(1, 6))):
            what, head = bytearray(one[2]), bytearray(one[0])
            for octet in chosen:
                what[octet - 1] = draw(st.integers(0, 2))
            if octets.unit:
                what[octets.unit - 1 : octets.unit + 4] = bytes(
                    (1, 0, 0, 0, draw(st.integers(0, 3)))
                )
            head[draw(st.sampled_from([6, 8, 19, 20]))] = draw(st.integers(0, 1))
            body = b"".join((bytes(head), one[1], bytes(what), *one[3:]))
            made = b"GRIB\0\0\0\2" + (len(body) + 20).to_bytes(8, "big")
            parts.append(made + body + b"7777")
    return parts, draw(st.integers(0, 2**16))


@given(archives())
def test_no_variable_holds_two_products(tmp_path_factory, archive):
    parts, seed = archive
    path = tmp_path_factory.mktemp("archive") / "f.grib2"
    group = scan(path, parts)
    data = path.read_bytes()
    for rows in fields(group).values():
        found = {product_of(data[at : at + int.from_bytes(data[at + 8 : at + 16], "big")])
                 for at in rows}  # fmt: skip
        assert len(found) == 1
    # Nor do names, and what bears them, depend on the order.
    turned = list(parts)
    random.Random(seed).shuffle(turned)
    again = scan(path, turned)
    assert names(again) == names(group)
    if group.attributes["refmaker:fields"]["duplicates"]:
        # Of equal fields at one place the first in the file is the one.
        return
    contents = defaultdict(list)
    for which, whole in ((group, data), (again, path.read_bytes())):
        for name, rows in fields(which).items():
            sizes = [(at, int.from_bytes(whole[at + 8 : at + 16], "big")) for at in rows]
            contents[name].append(sorted(whole[at : at + size] for at, size in sizes))
    assert all(first == second for first, second in contents.values())


def with_local(data, local):
    """Return a message of edition 2 with a local section."""
    first, *rest = sections(data)
    body = first + (5 + len(local)).to_bytes(4, "big") + b"\2" + local + b"".join(rest)
    return data[:8] + (len(body) + 20).to_bytes(8, "big") + body + b"7777"


def test_a_counter_in_local_sections_tells_nothing(tmp_path):
    # Of a centre whose local sections nobody knows: an octet of two values, and a counter.
    path = tmp_path / "local.grib2"
    fields = itertools.product((850, 500), range(50), (1, 2))
    path.write_bytes(
        b"".join(
            with_local(
                message(shortName="t", level=level, forecastTime=step, centre=99),
                bytes((kind, 0, count)),
            )
            for count, (level, step, kind) in enumerate(fields)
        )
    )
    refs = refmaker.scan(path)
    arrays = [
        array for path, array in refs.group.arrays()
        if (array.compressor or {}).get("id") == "refmaker.grib"
    ]  # fmt: skip
    assert sorted(array.chunks.present for array in arrays) == [100, 100]
    assert any("200 different local sections" in text for text in refs.report.warnings)


def test_few_local_sections_tell_products_apart(tmp_path):
    path = tmp_path / "local.grib2"
    path.write_bytes(
        b"".join(
            with_local(message(shortName="t", level=850, centre=99), bytes((0, 0, kind)))
            for kind in range(20)
        )
    )
    refs = refmaker.scan(path)
    assert refs.group.attributes["refmaker:fields"]["placed"] == 20
    assert refs.report.warnings == []
    names = {
        path for path, array in refs.group.arrays()
        if (array.compressor or {}).get("id") == "refmaker.grib"
    }  # fmt: skip
    assert len(names) == 20
