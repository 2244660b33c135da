"""Values, places and attributes of NIfTI files against nibabel."""

import gzip
import shutil
import struct

import nibabel
import numpy as np
import pytest

import refmaker
from refmaker.errors import CodecError, FormatError, TruncatedError
from refmaker.io.source import Source
from refmaker.model.report import Outcome
from refmaker.scanners.nifti import NIfTIScanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.nifti import files
from tests.scanners.verified import verified

TYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16")
VOLUME = np.arange(5 * 6 * 7).reshape(5, 6, 7)
ROTATED = np.array([[2.0, 0.5, 0, 1], [-0.5, 3, 0, 2], [0, 0, 4, 3], [0, 0, 0, 1]])


def scan(path, **fields):
    with Source(path) as source:
        return NIfTIScanner().scan(source, ScanOptions(inline_threshold=0, **fields))


def patched(path, at, layout, *values):
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, at, *values)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("dtype", TYPES)
def test_values_of_every_type(dtype, version, order, tmp_path):
    for shape in ((7,), (4, 3), (5, 6, 7), (5, 6, 7, 3), (2, 3, 4, 1, 5), (2,) * 7):
        values = np.random.default_rng(1).integers(-100, 100, shape).astype(dtype)
        path = files.write(tmp_path / "x.nii", values, version, order)
        group, _ = scan(path)
        true = np.asarray(nibabel.load(path).dataobj.get_unscaled())
        found = open_stock(group)["data"][...]
        assert group["data"].dtype == np.dtype(dtype).newbyteorder(order)
        assert np.array_equal(found.T, true)
        assert group["data"].dimension_names == tuple("wvutzyx"[7 - len(shape) :])


@pytest.mark.parametrize("form", ["sform", "qform", "neither"])
@pytest.mark.parametrize("affine", [files.AFFINE, ROTATED], ids=["diagonal", "sheared"])
def test_affine(affine, form, tmp_path):
    image = nibabel.Nifti1Image(VOLUME.astype("i2"), None)
    image.header.set_sform(affine, 1 if form == "sform" else 0)
    image.header.set_qform(affine, 2 if form == "qform" else 0, strip_shears=True)
    path = tmp_path / "x.nii"
    nibabel.save(image, path)
    group, _ = scan(path)
    attributes = group["data"].attributes
    read = nibabel.load(path)
    if form == "neither":
        assert "affine" not in attributes
        assert set(group.members) == {"data"}
        return
    assert np.allclose(attributes["affine"], read.affine, atol=1e-6)
    assert np.array_equal(attributes["affine"], attributes[form])
    assert attributes["space"] == "right-anterior-superior"
    straight = affine is files.AFFINE
    assert set(group.members) == ({"data", "x", "y", "z"} if straight else {"data"})
    if straight:
        x = open_stock(group)["x"][...]
        assert np.array_equal(x, read.affine[0, 0] * np.arange(5) + read.affine[0, 3])


def test_sform_is_preferred(tmp_path):
    image = nibabel.Nifti1Image(VOLUME.astype("i2"), None)
    image.header.set_sform(ROTATED, 1)
    image.header.set_qform(files.AFFINE, 2)
    nibabel.save(image, tmp_path / "x.nii")
    attributes = scan(tmp_path / "x.nii")[0]["data"].attributes
    assert np.allclose(attributes["affine"], ROTATED)
    assert np.allclose(attributes["qform"], files.AFFINE, atol=1e-5)
    assert (attributes["sform_code"], attributes["qform_code"]) == (1, 2)


def test_rotations_are_those_of_nibabel(tmp_path):
    chance = np.random.default_rng(2)
    for _ in range(20):
        turn, _ = np.linalg.qr(chance.normal(size=(3, 3)))
        affine = np.eye(4)
        affine[:3, :3] = turn * [2, 3, 4]
        image = nibabel.Nifti1Image(VOLUME.astype("i2"), None)
        image.header.set_qform(affine, 1)
        nibabel.save(image, tmp_path / "x.nii")
        found = scan(tmp_path / "x.nii")[0]["data"].attributes["qform"]
        assert np.allclose(found, nibabel.load(tmp_path / "x.nii").get_qform(), atol=1e-12)


def test_scaling_is_said_and_not_applied(tmp_path):
    path = files.write(
        tmp_path / "x.nii", VOLUME.astype(">i2"), 1, ">", scl_slope=0.5, scl_inter=-3
    )
    group, _ = scan(path)
    assert group["data"].attributes["scale_factor"] == 0.5
    assert group["data"].attributes["add_offset"] == -3.0
    stored = open_stock(group)["data"][...].T
    assert np.array_equal(stored * 0.5 - 3, nibabel.load(path).get_fdata())


@pytest.mark.parametrize("slope", [0.0, float("nan"), float("inf")])
def test_no_scaling(slope, tmp_path):
    path = files.write(tmp_path / "x.nii", VOLUME.astype("i2"), 1, "<")
    patched(path, 112, "<ff", slope, 5.0)
    assert "scale_factor" not in scan(path)[0]["data"].attributes


def test_slope_without_an_intercept_is_refused(tmp_path):
    path = files.write(tmp_path / "x.nii", VOLUME.astype("i2"), 1, "<")
    _, report = scan(patched(path, 112, "<ff", 2.0, float("nan")))
    assert [row.path for row in report.skipped] == ["/data"]


def test_time_intent_and_texts(tmp_path):
    path = files.write(
        tmp_path / "x.nii",
        np.zeros((2, 3, 4, 5), "f4"),
        1,
        "<",
        intent_code=3,
        intent_p1=12,
        intent_name=b"t test",
        descrip=b"made here",
        toffset=1.5,
        pixdim=[1, 2, 3, 4, 0.5, 1, 1, 1],
    )
    group, _ = scan(path)
    attributes = group["data"].attributes
    assert attributes["intent_code"] == 3
    assert attributes["intent_parameters"] == [12, 0, 0]
    assert attributes["intent_name"] == "t test"
    assert attributes["descrip"] == "made here"
    assert attributes["spatial_units"] == "mm"
    assert open_stock(group)["t"][...].tolist() == [1.5, 2.0, 2.5, 3.0, 3.5]
    assert group["t"].attributes == {"units": "s"}
    assert group["x"].attributes == {"units": "mm"}


def test_colours(tmp_path):
    path = files.write_colours(tmp_path / "x.nii", VOLUME)
    group, _ = scan(path)
    found = open_stock(group)["data"][...]
    true = np.asarray(nibabel.load(path).dataobj)
    assert group["data"].dimension_names == ("z", "y", "x", "rgb")
    for at, name in enumerate("RGB"):
        assert np.array_equal(found[..., at].T, true[name])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("ending", [".gz", ""])
def test_pairs(version, ending, tmp_path):
    path = tmp_path / f"x.hdr{ending}"
    files.write(tmp_path / f"x.img{ending}", VOLUME.astype(">i4"), version, ">", pair=True)
    group, report = scan(path)
    assert group["data"].chunks.urls == (str(tmp_path / f"x.img{ending}"),)
    assert list(report.sources) == [str(tmp_path / f"x.img{ending}")]
    assert np.array_equal(open_stock(group)["data"][...].T, VOLUME)
    with Source(path) as source, NIfTIScanner().native(source) as native:
        region = (slice(1, 5), slice(0, 3), slice(2, 4))
        found = native.read("/data", group["data"], region)
        assert np.array_equal(found.T, VOLUME[2:4, 0:3, 1:5])


def test_a_pair_without_its_data(tmp_path):
    files.write(tmp_path / "x.img", VOLUME.astype("i4"), 1, "<", pair=True)
    (tmp_path / "x.img").unlink()
    group, report = scan(tmp_path / "x.hdr")
    assert not group.members
    assert [row.path for row in report.skipped] == ["/data"]
    assert "x.img" in report.skipped[0].reason


def test_compressed_volumes_are_one_chunk(tmp_path):
    path = files.write(tmp_path / "x.nii.gz", VOLUME.astype("f4"), 1, "<")
    group, report = scan(path, chunk_bytes=64)
    assert group["data"].chunk_shape == (7, 6, 5)
    assert np.array_equal(open_stock(group)["data"][...].T, VOLUME)
    assert any("as a whole" in text for text in report.warnings)


def test_a_compressed_volume_that_is_cut_off_inside(tmp_path):
    plain = files.write(tmp_path / "x.nii", VOLUME.astype("f4"), 1, "<").read_bytes()
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(plain[:-1]))
    group, _ = scan(tmp_path / "x.nii.gz")
    with pytest.raises(CodecError, match="its data end at 1192"):
        open_stock(group)["data"][...]


def test_remaining_types_are_refused_by_name(tmp_path):
    path = files.write(tmp_path / "x.nii", VOLUME.astype("i2"), 1, "<")
    for code in (0, 1, 1536, 2048, 77):
        group, report = scan(patched(path, 70, "<h", code))
        assert not group.members
        assert [(row.path, row.code) for row in report.skipped] == [("/data", "nifti-datatype")]
        assert str(code) in report.skipped[0].reason


@pytest.mark.parametrize("offset", [0.0, 348.0, -16.0, float("nan"), float("inf"), 1e30])
def test_offsets_that_cannot_be(offset, tmp_path):
    path = files.write(tmp_path / "x.nii", VOLUME.astype("i2"), 1, "<")
    group, report = scan(patched(path, 108, "<f", offset))
    assert not group.members
    assert [row.path for row in report.skipped] == ["/data"]


def test_truncated_data(tmp_path):
    path = files.write(tmp_path / "x.nii", VOLUME.astype("i2"), 1, "<")
    path.write_bytes(path.read_bytes()[:-1])
    group, report = scan(path)
    assert not group.members
    assert [(row.path, row.code) for row in report.skipped] == [("/data", "truncated")]


def test_truncated_header(tmp_path):
    path = files.write(tmp_path / "x.nii", VOLUME.astype("i2"), 1, "<")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(TruncatedError, match="300"):
        scan(path)


@pytest.mark.parametrize("rank", [0, 8, -1])
def test_ranks_that_cannot_be(rank, tmp_path):
    path = files.write(tmp_path / "x.nii", VOLUME.astype("i2"), 1, "<")
    with pytest.raises(FormatError):
        scan(patched(path, 40, "<h", rank))


def test_surfaces_of_freesurfer(tmp_path):
    path = files.write(tmp_path / "x.nii", np.arange(300, dtype="f4").reshape(300, 1, 1), 1, "<")
    patched(path, 42, "<h", -1)
    patched(path, 144, "<i", 300)
    group, _ = scan(path)
    assert group["data"].shape == (1, 1, 300) == nibabel.load(path).shape[::-1]


def test_every_extension_has_a_row(tmp_path):
    image = nibabel.Nifti1Image(VOLUME.astype("i2"), files.AFFINE)
    for code, text in ((4, b"<AFNI/>"), (6, b"a comment")):
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(code, text))
    nibabel.save(image, tmp_path / "x.nii")
    group, report = scan(tmp_path / "x.nii")
    assert np.array_equal(open_stock(group)["data"][...].T, VOLUME)
    rows = [row for row in report.skipped if row.code == "nifti-extension"]
    assert [row.path for row in rows] == ["/@extension/0", "/@extension/1"]
    assert "code 4" in rows[0].reason
    assert report.rows[0].outcome is Outcome.GROUP


def test_the_name_does_not_matter(tmp_path):
    path = files.write(tmp_path / "x.nii.gz", VOLUME.astype("i2"), 1, "<")
    shutil.copy(path, tmp_path / "volume")
    group, _ = scan(tmp_path / "volume")
    with Source(tmp_path / "volume") as source, NIfTIScanner().native(source) as native:
        found = native.read("/data", group["data"], (slice(None),) * 3)
    assert np.array_equal(found.T, VOLUME)


def test_a_long_header_of_a_small_volume(tmp_path):
    image = nibabel.Nifti1Image(VOLUME.astype("i2"), files.AFFINE)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"x" * 1_000_000))
    nibabel.save(image, tmp_path / "x.nii.gz")
    refs = refmaker.scan(tmp_path / "x.nii.gz")
    refs.write(tmp_path / "x.json")
    read = refmaker.open_dataset(str(tmp_path / "x.json"))["data"]
    assert np.array_equal(read.values.T, VOLUME)
    assert all(check.equal for check in refmaker.verify(str(tmp_path / "x.json")))


@pytest.mark.parametrize("offset", [-16.0, 352.0 + 2**27])
def test_offsets_that_cannot_be_in_compressed_volumes(offset, tmp_path):
    path = files.write(tmp_path / "x.nii", VOLUME.astype("i2"), 1, "<")
    packed = tmp_path / "x.nii.gz"
    packed.write_bytes(gzip.compress(patched(path, 108, "<f", offset).read_bytes()))
    group, report = scan(packed)
    assert not group.members
    assert [row.path for row in report.skipped] == ["/data"]


def test_cifti_is_called_so(tmp_path):
    values = np.arange(12, dtype="f4").reshape(3, 4)
    axes = (
        nibabel.cifti2.SeriesAxis(0, 1, 3),
        nibabel.cifti2.BrainModelAxis.from_mask(np.ones(4, bool), name="CORTEX_LEFT"),
    )
    path = tmp_path / "x.dtseries.nii"
    nibabel.Cifti2Image(values, axes).to_filename(path)
    group, report = scan(path)
    assert np.array_equal(open_stock(group)["data"][...].squeeze().T, values)
    assert any("it is CIFTI" in text for text in report.warnings)
    assert "code 32 (CIFTI)" in report.skipped[0].reason
    verified(path)


ANALYZE = ("u1", "i2", "i4", "f4", "f8", "c8")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ANALYZE)
def test_analyze(dtype, order, tmp_path):
    values = np.arange(5 * 6 * 7).reshape(5, 6, 7, 1).astype(dtype)
    kind = nibabel.Spm99AnalyzeImage
    image = kind(values, files.AFFINE, kind.header_class(endianness=order))
    image.header.set_data_dtype(np.dtype(dtype))
    path = tmp_path / "x.hdr"
    nibabel.save(image, path)
    for threshold in (0, 4096):
        refs = verified(path, inline_threshold=threshold)
        (warning,) = refs.report.warnings
        assert "as stored" in warning
        found = refs.group["data"]
        assert (found.dtype, found.shape) == (np.dtype(order + dtype), (1, 7, 6, 5))
        assert np.array_equal(open_stock(refs.group)["data"][...].T, values)
        assert found.attributes["pixdim"] == [2.0, 3.0, 4.0, 1.0]
        assert not found.attributes.keys() & {"affine", "scale_factor", "nifti_version"}


def test_scales_of_analyze_are_told_and_not_applied(tmp_path):
    values = np.arange(24, dtype="i2").reshape(2, 3, 4)
    path = tmp_path / "x.hdr"
    nibabel.save(nibabel.AnalyzeImage(values, files.AFFINE), path)
    patched(path, 112, "<f", 0.5)
    assert verified(path).group["data"].attributes["spm_scale"] == 0.5
    for code, name in ((128, "colours"), (132, "of SPM"), (1, "bits")):
        _, report = scan(patched(path, 70, "<h", code))
        assert [row.code for row in report.skipped] == ["nifti-datatype"], name


def test_a_single_file_without_a_signature_is_refused(tmp_path):
    path = files.write(tmp_path / "x.nii", VOLUME.astype("i2"), 1, "<")
    with pytest.raises(FormatError, match="signature"):
        scan(patched(path, 344, "4s", b"none"))


@pytest.mark.parametrize("steps", [(0, 0, 0), (2, 0, 4)])
def test_steps_of_a_qform_that_are_not_set_are_one(steps, tmp_path):
    path = tmp_path / "x.nii"
    nibabel.save(nibabel.Nifti1Image(VOLUME.astype("i2"), None), path)
    patched(path, 252, "<hh", 1, 0)
    patched(path, 256, "<6f", 0.1, 0.2, 0.3, 4, 5, 6)
    patched(path, 76, "<4f", 1, *steps)
    found = np.array(verified(path).group["data"].attributes["affine"])
    assert np.allclose(found, nibabel.load(path).header.get_best_affine())
