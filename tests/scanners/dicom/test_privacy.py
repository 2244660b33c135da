"""Nothing that identifies a patient leaves a header, unless somebody asks for it."""

from __future__ import annotations

import json
import logging
import struct

import numpy as np
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from refmaker.errors import MetadataError, RefmakerError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.inline import decode_inline, inline_array
from refmaker.model.report import Fingerprint
from refmaker.scanners.dicom import DICOMScanner
from refmaker.scanners.dicom.declared import SALT
from refmaker.scanners.dicom.header import Header
from refmaker.scanners.dicom.metadata import SAFE, selection
from refmaker.scanners.dicom.privacy import Identifiers, audit, hashed_uid
from refmaker.scanning.options import ScanOptions
from refmaker.testing.reading import document
from tests.scanners.dicom.basic_profile import profile_tags
from tests.scanners.dicom.image_files import (
    enhanced,
    group,
    save,
    slice_of,
    slide_level,
    uid,
)
from tests.scanners.dicom.test_volumes import SHARED, collect, plane

WORD = "ZZSENTINEL"
DATE, TIME, NUMBER = "19370103", "033517.71", 73517.25
UID = "1.2.826.0.1.735171"
TEXT = {"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT", "PN"}
TRACES = (WORD, DATE, "033517", "73517", "735171", "54321")
"""What is looked for: in texts, dates, times, numbers, identifiers."""


def sentinel(vr, number):
    """Return a value that is easy to find again."""
    if vr in TEXT:
        return f"{WORD}{number}"
    known = {"DA": DATE, "TM": TIME, "DT": DATE + TIME, "AS": "093Y", "UI": f"{UID}.{number}"}
    if vr in known:
        return known[vr]
    if vr in ("DS", "FD", "FL"):
        return str(NUMBER) if vr == "DS" else NUMBER
    if vr == "IS":
        return "735171"
    if vr in ("US", "SS", "UL", "SL", "UV", "SV"):
        return 54321 if vr != "SS" else 5432
    if vr == "AT":
        return 0x00100010
    if vr == "SQ":
        item = Dataset()
        item.PatientName = f"{WORD}^In^Sequence"
        item.TextValue = WORD
        return Sequence([item])
    return (WORD * 2).encode()


def marked(data):
    """Fill in every attribute of the profile, and private ones."""
    for number, tag in enumerate(profile_tags()):
        if tag >> 16 in (0x0000, 0x0002, 0x0004):
            continue  # no part of the data set of a file
        try:
            vr = dictionary_VR(tag).partition(" or ")[0]
        except KeyError:
            vr = "LO"
        data.add_new(tag, vr, sentinel(vr, number))
    block = data.private_block(0x0011, f"{WORD} PRIVATE", create=True)
    block.add_new(1, "LO", WORD)
    block.add_new(2, "SQ", sentinel("SQ", 0))
    data.StudyInstanceUID, data.SeriesInstanceUID = f"{UID}.1", f"{UID}.2"
    return data


def series():
    return [marked(slice_of((0, 0, k), k + 1, SOPInstanceUID=f"{UID}.7.{k}")) for k in range(3)]


def multiframe():
    frames = [
        plane(
            z, FrameContentSequence={"FrameAcquisitionDateTime": DATE + TIME, "FrameComments": WORD}
        )
        for z in range(3)
    ]
    data = marked(enhanced(frames, SHARED))
    for item in data.PerFrameFunctionalGroupsSequence:
        item.PatientName = WORD
    return [data]


def slide():
    matrix = np.zeros((8, 8, 3), np.uint8)
    data = slide_level(matrix, (4, 4))
    data.OpticalPathSequence = group(OpticalPathIdentifier="1", OpticalPathDescription=WORD)
    return [marked(data)]


def traces(text):
    return [trace for trace in TRACES if trace in text]


def texts(made):
    """Return all that is written, inlined arrays decoded."""
    parts = [json.dumps(document(made))]
    for _, array in made.arrays():
        parts += [
            str(np.frombuffer(decode_inline(array, data), array.dtype).tolist())
            for data in array.chunks.inlined.values()
        ]
    return "\n".join(parts)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [series, multiframe, slide], ids=lambda make: make.__name__)
@pytest.mark.parametrize("mode", ["safe", "none"])
def test_no_attribute_of_the_profile_is_written(tmp_path, caplog, make, mode):
    caplog.set_level(logging.DEBUG)
    paths = [save(data, tmp_path / str(k)) for k, data in enumerate(make())]
    made, report = collect(paths, metadata=mode)
    assert any(name.endswith("image") for name, _ in made.arrays())
    assert traces(texts(made)) == []
    assert traces(str(report.rows) + str(report.warnings) + json.dumps(report.as_dict())) == []
    assert traces(caplog.text) == []


def test_the_sentinels_can_be_found(tmp_path):
    paths = [save(data, tmp_path / str(k)) for k, data in enumerate(series())]
    made, report = collect(paths, metadata="all", uids="keep")
    assert set(traces(texts(made))) == set(TRACES)
    assert made.attributes["contains_phi"] is True
    assert any("may identify" in warning for warning in report.warnings)
    assert traces(str(report.warnings)) == []


def test_the_profile_and_the_safe_list_have_nothing_in_common():
    assert len(profile_tags()) > 600
    assert not SAFE.keys() & set(profile_tags())
    assert not any(tag >> 16 & 1 for tag in SAFE)


@pytest.mark.filterwarnings("ignore")
def test_no_error_tells_a_value(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    whole = tmp_path / "whole"
    save(series()[0], whole)
    data = whole.read_bytes()
    told = []
    for length in (*range(130, 1200, 7), *range(1200, len(data), 211)):
        path = tmp_path / "cut"
        path.write_bytes(data[:length])
        try:
            _, report = collect([str(path)])
            told.append(str(report.rows) + str(report.warnings))
        except RefmakerError as error:
            told.append(f"{error} {error!r} {error.__cause__!r} {error.__context__!r}")
    assert len(told) > 100
    assert traces("".join(told) + caplog.text) == []


@pytest.mark.parametrize(
    "tag", ["Rows", "ImagePositionPatient", "PixelSpacing", "RescaleSlope", "InstanceNumber"]
)
def test_texts_in_the_place_of_numbers_are_not_told(tmp_path, tag):
    data = slice_of((1, 2, 3), 1, RescaleSlope="1")
    path = tmp_path / "odd"
    save(data, path)
    element = data[tag]
    old = struct.pack("<HH", element.tag.group, element.tag.elem)
    raw = path.read_bytes()
    at = raw.index(old + element.VR.encode()) + 6
    length = int.from_bytes(raw[at : at + 2], "little")
    path.write_bytes(raw[: at + 2] + (WORD * 8).encode()[:length] + raw[at + 2 + length :])
    try:
        made, report = collect([str(path)])
        told = texts(made) + str(report.rows) + str(report.warnings)
    except RefmakerError as error:
        told = f"{error!r} {error}"
    assert WORD[:4] not in told


def test_values_of_the_safe_list_that_are_no_codes_stay_out(tmp_path):
    data = slice_of((1, 2, 3), 1)
    data.ConvolutionKernel = "Mr. O'Neil; #7"
    data.ScanOptions = "FS"
    made, _ = collect([save(data, tmp_path / "1")])
    assert made["image"].attributes["scan_options"] == "FS"
    assert "convolution_kernel" not in made["image"].attributes


def test_times_are_seconds_from_the_first_frame(tmp_path):
    made = [
        slice_of((0, 0, 0), k + 1, AcquisitionDateTime=f"20200305{clock}")
        for k, clock in enumerate(("235959.5", "235959.75"))
    ]
    made[1].AcquisitionDateTime = "20200306000001.5"
    found, _ = collect([save(data, tmp_path / str(k)) for k, data in enumerate(made)])
    array = found["acquisition_time"]
    (data,) = array.chunks.inlined.values()
    assert np.frombuffer(decode_inline(array, data), array.dtype).tolist() == [0, 2]


def test_single_attributes_can_be_added(tmp_path):
    made = [slice_of((0, 0, k), k + 1, ProtocolName="HEAD", StationName=f"ST{k}") for k in range(2)]
    paths = [save(data, tmp_path / str(k)) for k, data in enumerate(made)]
    found, _ = collect(paths, metadata="ProtocolName,00081010")
    assert found["image"].attributes["protocol_name"] == "HEAD"
    assert found["station_name"].dimension_names == ("z",)
    assert found.attributes["contains_phi"] is True
    without, _ = collect(paths)
    assert "protocol_name" not in without["image"].attributes
    assert "contains_phi" not in without.attributes


def test_unknown_attributes_are_refused():
    with pytest.raises(MetadataError, match="is no attribute"):
        selection("NoSuchThing")


def test_uids_can_be_hashed(tmp_path, monkeypatch):
    paths = [save(slice_of((0, 0, k), k + 1), tmp_path / str(k)) for k in range(2)]
    monkeypatch.setenv(SALT, "secret")
    found, _ = collect(paths, uids="hash")
    study = found["image"].attributes["study_instance_uid"]
    assert study == hashed_uid(uid("t1"), b"secret")
    assert study != uid("t1")
    assert study.startswith("2.25.")
    assert len(study) <= 64
    assert found["sop_instance_uid"].dimension_names == ("z",)
    again, _ = collect(paths, uids="hash")
    assert again["image"].attributes["study_instance_uid"] == study
    monkeypatch.setenv(SALT, "another")
    other, _ = collect(paths, uids="hash")
    assert other["image"].attributes["study_instance_uid"] != study
    monkeypatch.delenv(SALT)
    with pytest.raises(MetadataError, match="secret"):
        collect(paths, uids="hash")


def test_uids_can_be_kept(tmp_path):
    path = save(slice_of((0, 0, 0), 1), tmp_path / "1")
    found, report = collect([path], uids="keep")
    assert found["image"].attributes["series_instance_uid"] == uid("t1/s1")
    assert not any("UID in" in warning for warning in report.warnings)


def patients(folder):
    folder.mkdir(parents=True)
    return [save(slice_of((0, 0, k), k + 1), folder / f"{k}") for k in range(2)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("PATRICIA_S", "patient's name in 2 file paths"),
        ("scan-sentinel4711", "patient identifier in 2 file paths"),
        (uid("t1"), "UID in 2 file paths"),
    ],
)
def test_identifiers_in_file_paths_are_noticed(tmp_path, name, kind):
    paths = patients(tmp_path / name)
    _, report = collect(paths)
    (warning,) = [warning for warning in report.warnings if "identifiers" in warning]
    assert kind in warning
    assert name not in warning
    with pytest.raises(MetadataError) as caught:
        collect(paths, **{"fail-on-phi": "yes"})
    assert name not in str(caught.value)


def test_paths_without_identifiers_pass(tmp_path):
    _, report = collect(patients(tmp_path / "4712"), **{"fail-on-phi": "yes"})
    assert report.warnings == []


def test_the_audit_looks_everywhere():
    data = slice_of((0, 0, 0), 1)
    data.StudyDate = "20200305"
    identifiers = Identifiers()
    elements = {element.tag: (element.VR.encode(), str(element.value).encode()) for element in data
                if element.VR in ("PN", "LO", "DA", "UI")}  # fmt: skip
    made = Header("", Fingerprint(1), elements, transfer_syntax="", implicit=False, big=False)
    identifiers.add([made])
    table = ChunkTable.from_columns(
        (1,), ("/data/Patricia/1",), offset=np.array([0]), length=np.array([1])
    )
    named = Array((1,), (1,), np.dtype("u1"), table, attributes={"note": {"by": ["of 2020-03-05"]}})
    text = inline_array(np.array(["x", "SENTINEL-4711"]), ("t",))
    whole = Group({"a": named, "b": text, "Sentinel": Group()}, {uid("t1"): 1})
    found = audit(whole, identifiers)
    assert found == {
        ("patient's name", "file paths"): 1,
        ("patient's name", "attributes"): 2,
        ("patient identifier", "attributes"): 1,
        ("date", "attributes"): 1,
        ("UID", "attributes"): 1,
    }
    assert audit(Group({"c": inline_array(np.arange(3), ("t",))}), identifiers) == {}


def test_burned_in_text_is_told_of(tmp_path):
    path = save(slice_of((0, 0, 0), 1, BurnedInAnnotation="YES"), tmp_path / "1")
    _, report = collect([path])
    assert any("burned into" in warning for warning in report.warnings)


def test_settings_are_listed():
    names = {setting.name for setting in DICOMScanner().settings}
    assert {"metadata", "uids", "fail-on-phi"} <= names
    with pytest.raises(MetadataError):
        DICOMScanner().collect([], None, ScanOptions(settings={"uids": "sometimes"}))
