"""Series behind DICOMweb services: one answer for the headers, a URL for each frame."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from dicomweb_client.api import DICOMwebClient
from pydicom.filewriter import correct_ambiguous_vr

import refmaker
from refmaker.cli import main
from refmaker.codecs.multipart import only_part, wrapped
from refmaker.errors import CodecError, FormatError, MetadataError, RefmakerError
from refmaker.scanners.dicom.dicom_json import elements_of
from refmaker.scanners.dicom.header import read_headers
from refmaker.scanners.dicom.parsed_tags import PARSED_TAGS
from refmaker.scanners.dicom.tags import NEEDED
from refmaker.testing import open_stock
from tests.scanners.dicom.dicomweb_server import DICOMwebServer
from tests.scanners.dicom.image_files import enhanced, save, save_all, slice_of
from tests.scanners.dicom.test_privacy import marked, traces
from tests.scanners.dicom.test_volumes import SHARED, collect, plane, segmentation


def stacked():
    return [slice_of((0, 0, k), k + 1, RescaleSlope="2", RescaleIntercept="-5") for k in range(4)]


def signed():
    made = [slice_of((0, 0, k), k + 1) for k in range(3)]
    for data in made:
        data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 11, 1
    return made


def multiframe():
    return [enhanced([plane(z) for z in (2, 0, 1)], SHARED)]


KINDS = [stacked, signed, multiframe]


@pytest.fixture(params=KINDS, ids=lambda make: make.__name__)
def made(request):
    return request.param()


@pytest.mark.parametrize("single", [True, False], ids=["single", "messages"])
def test_a_series_is_what_its_files_are(made, tmp_path, single):
    local, _ = collect(save_all(tmp_path, made))
    with DICOMwebServer(made, single=single) as server:
        refs = refmaker.scan(server.series(made[0]))
        assert [path for path, _, _ in server.asked if path.endswith("metadata")] == [
            server.asked[0][0]
        ]
        assert len(server.asked) <= 3
        assert refs.report.lossless
        assert {p: a.shape for p, a in refs.group.arrays()} == {
            p: a.shape for p, a in local.arrays()
        }
        image = refs.group["image"]
        assert image.attributes == local["image"].attributes
        assert all("/frames/" in url for url in image.chunks.urls)
        accept = image_accept(refs)
        assert accept.startswith("application/octet-stream" if single else "multipart/related")
        options = {"headers": {"Accept": accept}}
        opened = refmaker.open_group(refs, storage_options=options)
        for path, array in local.arrays():
            wanted = open_stock(local)[path][...]
            np.testing.assert_array_equal(opened[path][...], wanted, path)
            assert refs.group[path].dtype == array.dtype
        stock = open_stock(refs, {"asynchronous": True, **options})
        np.testing.assert_array_equal(
            stock["image"][...], np.asarray(open_stock(local)["image"][...])
        )
        assert not any(ranged for _, _, ranged in server.asked)


def image_accept(refs):
    (word,) = [warning for warning in refs.report.warnings if "from a service" in warning]
    return json.loads(word.partition("'headers' set to ")[2])["Accept"]


@pytest.mark.parametrize("single", [True, False], ids=["single", "messages"])
def test_sets_are_verified_with_whole_instances(made, tmp_path, single):
    with DICOMwebServer(made, single=single) as server:
        refs = refmaker.scan(server.series(made[0]))
        refs.write(tmp_path / "a.json")
        assert "headers" not in (tmp_path / "a.json").read_text().partition('"refs"')[2]
        options = {"headers": {"Accept": image_accept(refs)}}
        checks = refmaker.verify(tmp_path / "a.json", storage_options=options, isolate="never")
        assert {check.path: check.verdict for check in checks}["image"] == "equal"
        assert all(check.ok for check in checks), checks
        # A service whose frames are others.
        for data in made:
            data.PixelData = bytes(reversed(data.PixelData))
        server.datasets = [*made]
        again = DICOMwebServer.answer

        def lying(self, request):
            if "/frames/" in request.path:
                for data in made:
                    data.PixelData = bytes(reversed(data.PixelData))
                again(self, request)
                for data in made:
                    data.PixelData = bytes(reversed(data.PixelData))
            else:
                again(self, request)

        server.answer = lying.__get__(server)
        checks = refmaker.verify(tmp_path / "a.json", storage_options=options, isolate="never")
        assert {check.path: check.verdict for check in checks}["image"] == "different"


def test_the_command_line_and_the_client_of_others(tmp_path):
    made = stacked()
    with DICOMwebServer(made) as server:
        out = tmp_path / "a.json"
        result = CliRunner().invoke(main, ["scan", server.series(made[0]), "-o", str(out)])
        assert result.exit_code == 0, result.output
        refs = refmaker.ReferenceSet.read(out)
        options = {"headers": {"Accept": "application/octet-stream; transfer-syntax=*"}}
        image = refmaker.open_group(refs, storage_options=options)["image"][...]
        client = DICOMwebClient(server.root)
        for data, mine in zip(made, image, strict=True):
            server.single = False
            (frame,) = client.retrieve_instance_frames(
                data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID, [1]
            )
            server.single = True
            np.testing.assert_array_equal(np.frombuffer(frame, image.dtype), mine.ravel())


def test_a_study_is_all_of_its_series():
    made = [slice_of((0, 0, k), k + 1, series=name) for name in ("a", "b") for k in range(2)]
    with DICOMwebServer(made) as server:
        url = f"dicomweb+{server.root}/studies/{made[0].StudyInstanceUID}"
        refs = refmaker.scan(url)
        images = [path for path, _ in refs.group.arrays() if path.endswith("image")]
        assert images == ["study-1/series-1/image", "study-1/series-2/image"]


@pytest.mark.parametrize("pad", [False, True])
def test_frames_with_an_odd_number_of_bytes(pad):
    made = [slice_of((0, 0, k), k + 1) for k in range(2)]
    for data in made:
        data.Rows, data.Columns, data.BitsAllocated, data.BitsStored, data.HighBit = 3, 5, 8, 8, 7
        data.PixelRepresentation = 0
        data.PixelData = bytes(range(15)) + b"\0"
        data["PixelData"].VR = "OB"
    with DICOMwebServer(made, pad=pad) as server:
        refs = refmaker.scan(server.series(made[0]))
        options = {"headers": {"Accept": image_accept(refs)}}
        image = refmaker.open_group(refs, storage_options=options)["image"][...]
        np.testing.assert_array_equal(image[1].ravel(), range(15))


def test_secrets_go_along_and_are_written_nowhere(tmp_path):
    made = stacked()
    with DICOMwebServer(made, secret="Bearer ZZTOKEN") as server:  # noqa: S106
        with pytest.raises(RefmakerError, match="401"):
            refmaker.scan(server.series(made[0]))
        headers = {"Authorization": "Bearer ZZTOKEN"}
        refs = refmaker.scan(server.series(made[0]), {"headers": headers})
        refs.write(tmp_path / "a.json")
        assert "ZZTOKEN" not in (tmp_path / "a.json").read_text() + str(refs.report)
        options = {"headers": {**headers, "Accept": image_accept(refs)}}
        refmaker.open_group(refs, storage_options=options)["image"][...]


def test_identifiers_stay_out_but_for_the_uids_of_the_urls():
    made = [marked(slice_of((0, 0, k), k + 1, SOPInstanceUID=f"1.2.3.{k}")) for k in range(2)]
    for number, data in enumerate(made):
        data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", "1.2.4"
        data.SOPInstanceUID = f"1.2.5.{number}"
    with DICOMwebServer(made) as server:
        refs = refmaker.scan(server.series(made[0]))
        text = str([array.attributes for _, array in refs.group.arrays()])
        assert traces(text + str(refs.report) + str(refs.group.attributes)) == []


def test_messages_lose_the_names_in_them_when_they_are_copied(tmp_path):
    made = stacked()
    with DICOMwebServer(made, single=False) as server:
        refs = refmaker.scan(server.series(made[0]))
        options = {"headers": {"Accept": image_accept(refs)}}
        refmaker.materialize(refs, tmp_path / "a.zarr", options)
        chunks = [path.read_bytes() for path in (tmp_path / "a.zarr" / "image").glob("[0-9]*")]
        assert len(chunks) == len(made)
        assert not any(b"instances" in chunk for chunk in chunks)


@pytest.mark.parametrize(
    "change",
    [
        {"PhotometricInterpretation": "YBR_FULL_422", "SamplesPerPixel": 3},
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
    ],
)
def test_frames_that_services_make_something_of_are_refused(change):
    made = stacked()
    for name, value in change.items():
        setattr(made[1], name, value)
    with DICOMwebServer(made) as server:
        refs = refmaker.scan(server.series(made[0]))
        (row,) = refs.report.skipped
        assert row.code in ("dicomweb-frames", "pixel-layout")
        assert refs.group["image"].shape[0] == len(made) - 1


def test_segments_are_refused_with_the_remedy():
    made = [segmentation([(1, 0), (2, 0)])[0]]
    with DICOMwebServer(made) as server, pytest.raises(RefmakerError, match="fetch the instance"):
        refmaker.scan(server.series(made[0]))


def test_frames_that_begin_like_a_message():
    made = stacked()
    for data in made:
        data.PixelData = b"--\r\n\r\n" + data.PixelData[6:]
    with DICOMwebServer(made) as server:
        refs = refmaker.scan(server.series(made[0]))
        options = {"headers": {"Accept": image_accept(refs)}}
        image = refmaker.open_group(refs, storage_options=options)["image"][...]
        assert image.tobytes() == b"".join(data.PixelData for data in made)


def test_a_series_whose_frames_are_not_sent_costs_no_other():
    made = [slice_of((0, 0, k), k + 1, series=name) for name in ("a", "b") for k in range(2)]
    with DICOMwebServer(made) as server:
        inner = server.parts
        server.parts = lambda request, data, *how: (
            inner(request, data, *how)
            if made[0].SeriesInstanceUID in request.path
            else server.send(request, 406, b"", "text/plain")
        )
        refs = refmaker.scan(f"dicomweb+{server.root}/studies/{made[0].StudyInstanceUID}")
        assert refs.group["image"].shape[0] == 2
        assert [row.code for row in refs.report.skipped] == ["dicomweb-frames"] * 2


def test_tables_that_lie_elsewhere_are_told_of(tmp_path):
    made = stacked()
    for data in made:
        data.PhotometricInterpretation = "PALETTE COLOR"
        for name in ("Red", "Green", "Blue"):
            setattr(data, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
            setattr(data, f"{name}PaletteColorLookupTableData", bytes(512))
        correct_ambiguous_vr(data, True)
    with DICOMwebServer(made) as server:
        refs = refmaker.scan(server.series(made[0]))
        assert "palette" not in dict(refs.group.arrays())
        assert any("palette" in warning for warning in refs.report.warnings)


def test_a_service_that_sends_something_else_is_refused():
    made = stacked()
    with DICOMwebServer(made) as server:
        server.parts = lambda request, data, kind, accept: server.send(
            request, 200, data[:-3], kind
        )
        with pytest.raises(RefmakerError, match="does not send uncompressed frames"):
            refmaker.scan(server.series(made[0]))


@pytest.mark.parametrize(
    "url", ["dicomweb+http://127.0.0.1:1/studies/x", "dicomweb+https://h/studies/1?token=a"]
)
def test_what_is_no_series(url):
    with pytest.raises(MetadataError, match="study or a series"):
        refmaker.scan(url)


@pytest.mark.parametrize("make", [*KINDS, lambda: [segmentation([(1, 0), (2, 1)])[0]]])
def test_elements_are_those_of_the_file(tmp_path, make):
    for data in make():
        (header,) = read_headers([save(data, tmp_path / "a")], None, PARSED_TAGS)
        found = elements_of(data.to_json_dict(bulk_data_threshold=10**9), PARSED_TAGS | NEEDED)
        for tag, (vr, raw) in header.elements.items():
            if tag >> 16 == 2 or tag in (0x00080005, 0x7FE00010):
                continue
            assert found[tag][0] == vr, hex(tag)
            if vr == b"SQ":
                assert len(found[tag][1]) > 0
            elif vr in (b"DS", b"FD"):
                assert (
                    [float(part) for part in found[tag][1].split(b"\\")]
                    == [float(part) for part in raw.split(b"\\")]
                    if vr == b"DS"
                    else found[tag][1] == raw
                )
            else:
                assert found[tag][1].rstrip(b" \0") == raw.rstrip(b" \0"), hex(tag)


@pytest.mark.parametrize(
    "document",
    [
        {"x": {}},
        {"00280010": 3},
        {"00280010": {"Value": [1]}},
        {"00280010": {"vr": "US", "Value": ["ZZSENTINEL"]}},
        {"00280010": {"vr": "US", "Value": [70000]}},
        {"00280010": {"vr": "US", "Value": 5}},
        {"00281050": {"vr": "DS", "Value": [{"a": 1}]}},
        {"00281050": {"vr": "DS", "Value": [True]}},
        {"00282000": {"vr": "OB", "InlineBinary": "!!"}},
        {"00100010": {"vr": "PN", "Value": ["ZZSENTINEL"]}},
        {"52009229": {"vr": "SQ", "Value": [3]}},
    ],
)
def test_damaged_metadata_is_refused_without_its_values(document):
    with pytest.raises(FormatError) as caught:
        elements_of(document)
    assert "ZZSENTINEL" not in f"{caught.value} {caught.value.__cause__!r}"


def test_values_that_lie_elsewhere_and_private_ones_are_left_out():
    document = {
        "7FE00010": {"vr": "OW", "BulkDataURI": "http://127.0.0.1/secret"},
        "00190010": {"vr": "LO", "Value": ["X"]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00280010": {"vr": "US"},
    }
    found = elements_of(document)
    assert found[0x00080060] == (b"CS", b"CT")
    assert found[0x00280010] == (b"US", b"")
    assert not {0x7FE00010, 0x00190010} & found.keys()


def test_messages():
    body = b"\r\n--x--\r\nabc\0"
    assert only_part(wrapped(body)) == body
    assert only_part(b"\r\n--b \r\nA: 1\r\nB: 2\r\n\r\nxyz\r\n--b--\r\n") == b"xyz"
    assert only_part(b"--b\r\n\r\n\r\n--b--") == b""
    for broken in (b"", b"xyz", b"--b\r\n\r\nxyz", b"--b\r\nA: 1\r\n--b--", b"--\r\n\r\nx\r\n----"):
        with pytest.raises(CodecError):
            only_part(broken)
