"""Real world value mappings: described, never applied."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydicom.sequence import Sequence

from tests.scanners.dicom.image_files import enhanced, group, instance, save, slice_of
from tests.scanners.dicom.test_volumes import SHARED, collect, opened, plane

PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"


def code(scheme, value, text):
    return group(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=text)


def mapping(slope=2.0, intercept=1.0, unit=("UCUM", "um2/s", "square micrometre/s"), **elements):
    """Return an item that maps stored values to an apparent diffusion coefficient."""
    item = group(
        RealWorldValueSlope=slope,
        RealWorldValueIntercept=intercept,
        MeasurementUnitsCodeSequence=code(*unit),
        LUTLabel="SENTINEL^LABEL",
        LUTExplanation="SENTINEL^TEXT",
        QuantityDefinitionSequence=group(
            ConceptNameCodeSequence=code("SCT", "246205007", "Quantity"),
            ConceptCodeSequence=code("DCM", "113041", "Apparent Diffusion Coefficient"),
        ),
    )[0]
    for name, value in elements.items():
        setattr(item, name, value)
    return item


LIMITS = {"RealWorldValueFirstValueMapped": 0, "RealWorldValueLastValueMapped": 4095}


def frames(folder, mappings, *, shared=False):
    """Write an instance with mappings for each of its frames, or for all."""
    groups = [plane(3.0 * z) for z in range(len(mappings))]
    data = enhanced(groups, SHARED)
    if shared:
        data.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = Sequence(mappings[0])
    else:
        for item, maps in zip(data.PerFrameFunctionalGroupsSequence, mappings, strict=True):
            if maps is not None:
                item.RealWorldValueMappingSequence = Sequence(maps)
    return save(data, folder / "map")


@pytest.mark.parametrize("where", ["shared", "each", "top"])
def test_one_mapping_is_attributes(tmp_path, where):
    if where == "top":
        data = slice_of((0, 0, 0), 1)
        data.RealWorldValueMappingSequence = Sequence([mapping(**LIMITS)])
        data["RealWorldValueMappingSequence"].value[0]["RealWorldValueFirstValueMapped"].VR = "US"
        data["RealWorldValueMappingSequence"].value[0]["RealWorldValueLastValueMapped"].VR = "US"
        path = save(data, tmp_path / "a")
    else:
        path = frames(tmp_path, [[mapping(**LIMITS)] for _ in range(3)], shared=where == "shared")
    found, report = collect([path])
    attributes = found["image"].attributes
    assert attributes["real_world_scale"] == 2.0
    assert attributes["real_world_offset"] == 1.0
    assert attributes["real_world_units"] == "um2/s"
    assert attributes["real_world_range"] == [0, 4095]
    assert attributes["real_world_quantity"] == "DCM:113041"
    assert attributes["real_world_quantity_meaning"] == "Apparent Diffusion Coefficient"
    assert "scale_factor" not in attributes
    assert "SENTINEL" not in json.dumps(dict(attributes))
    assert report.warnings == []


def test_mappings_of_frames_that_differ(tmp_path):
    found, report = collect([frames(tmp_path, [[mapping(k + 1.0)] for k in range(3)])])
    assert opened(found)["real_world_scale"][...].tolist() == [1, 2, 3]
    assert found["real_world_scale"].dimension_names == ("z",)
    assert opened(found)["real_world_offset"][...].tolist() == 1
    assert found["image"].attributes["real_world_units"] == "um2/s"
    assert "real_world_scale" not in found["image"].attributes
    assert report.warnings == []


def test_several_mappings_are_a_list(tmp_path):
    both = [mapping(1.0), mapping(0.5, unit=("UCUM", "1", "no units"))]
    found, _ = collect([frames(tmp_path, [both, both])])
    listed = found["image"].attributes["real_world_mappings"]
    assert [one["scale"] for one in listed] == [1.0, 0.5]
    assert [one["units"] for one in listed] == ["um2/s", "1"]


@pytest.mark.parametrize(
    "mappings",
    [[[mapping()], None], [[mapping()], [mapping(), mapping(3.0)]]],
)
def test_frames_with_other_numbers_of_mappings(tmp_path, mappings):
    found, report = collect([frames(tmp_path, mappings)])
    assert not [name for name in found["image"].attributes if name.startswith("real_world")]
    assert any("real world" in told for told in report.warnings)


def test_a_mapping_that_is_a_table_is_told_of(tmp_path):
    item = mapping(RealWorldValueLUTData=[0.0, 1.5, 9.0])
    del item.RealWorldValueSlope, item.RealWorldValueIntercept
    found, report = collect([frames(tmp_path, [[item], [item]])])
    assert found["image"].attributes["real_world_entries"] == 3
    assert "real_world_scale" not in found["image"].attributes
    assert any("table" in told for told in report.warnings)


def test_a_mapping_without_a_slope_is_refused(tmp_path):
    item = mapping()
    del item.RealWorldValueSlope
    found, report = collect([frames(tmp_path, [[item], [item]])])
    assert not [name for name in found["image"].attributes if name.startswith("real_world")]
    assert any("(0040,9096)" in told and "(map)" in told for told in report.warnings)


@pytest.mark.parametrize("unit", [("99LOCAL", "furlong", "x"), ("UCUM", "Dr Patricia", "x")])
def test_units_that_nobody_can_look_up_are_not_written(tmp_path, unit):
    found, _ = collect([frames(tmp_path, [[mapping(unit=unit)]] * 2)])
    assert "real_world_units" not in found["image"].attributes
    assert found["image"].attributes["real_world_scale"] == 2.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parametric_maps_hold_floats(tmp_path, dtype):
    values = np.random.default_rng(1).normal(size=(3, 6, 5)).astype(dtype)
    data = instance(PARAMETRIC_MAP)
    data.SharedFunctionalGroupsSequence = group(
        **{name: group(**inner) for name, inner in SHARED.items()},
        RealWorldValueMappingSequence=Sequence(
            [
                mapping(
                    1.0,
                    0.0,
                    DoubleFloatRealWorldValueFirstValueMapped=-9.5,
                    DoubleFloatRealWorldValueLastValueMapped=9.5,
                )
            ]
        ),
    )
    data.PerFrameFunctionalGroupsSequence = Sequence(
        [group(**{k: group(**v) for k, v in plane(3.0 * z).items()})[0] for z in range(3)]
    )
    data.Rows, data.Columns, data.NumberOfFrames = 6, 5, 3
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = 8 * dtype().itemsize
    if dtype is np.float32:
        data.FloatPixelData = values.tobytes()
    else:
        data.DoubleFloatPixelData = values.tobytes()
    found, report = collect([save(data, tmp_path / "map")])
    assert found["image"].dtype == dtype
    assert np.array_equal(opened(found)["image"][...], values)
    assert found["image"].attributes["real_world_range"] == [-9.5, 9.5]
    assert report.warnings == []
