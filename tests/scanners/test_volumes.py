"""Properties of files that are a header and raw numbers; volumes joined with each other."""

import gzip
import warnings

import mrcfile
import nibabel
import nrrd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from spectral.io import envi

import refmaker
from refmaker.io.source import Source
from refmaker.io.stores import owners
from refmaker.scanners.envi import ENVIScanner
from refmaker.scanners.mrc import MRCScanner
from refmaker.scanners.nifti import NIfTIScanner
from refmaker.scanners.nrrd import NRRDScanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from refmaker.testing.damage import misdeeds


def write_nifti(path, values):
    order = ">" if values.dtype.byteorder == ">" else "<"
    kind = nibabel.Nifti1Image
    header = kind.header_class(endianness=order)
    header.set_data_dtype(values.dtype)
    nibabel.save(kind(values.T, np.eye(4), header), path)


def write_mrc(path, values):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(values)
        if values.ndim == 3:
            file.set_volume()


def write_nrrd(path, values):
    nrrd.write(str(path), values, {"encoding": "raw"}, index_order="C")


def write_envi(path, values):
    order = 1 if values.dtype.byteorder == ">" else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        envi.save_image(
            str(path), np.moveaxis(values, 0, 2), interleave="bsq", byteorder=order, force=True
        )


KINDS = {
    "nifti": (NIfTIScanner, "x.nii", write_nifti, ("u1", "i2", "u4", "f4", "f8", "c8"), (1, 5)),
    "mrc": (MRCScanner, "x.mrc", write_mrc, ("i1", "i2", "u2", "f2", "f4", "c8"), (2, 4)),
    "nrrd": (NRRDScanner, "x.nrrd", write_nrrd, ("i1", "u2", "i4", "u8", "f4", "f8"), (1, 5)),
    "envi": (ENVIScanner, "x.hdr", write_envi, ("u1", "i2", "u4", "f4", "f8", "c8"), (3, 3)),
}
SETTINGS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@st.composite
def arrays(draw, kind):
    """Return an array that a format can hold."""
    *_, types, (least, most) = KINDS[kind]
    shape = draw(array_shapes(min_dims=least, max_dims=most, max_side=6))
    dtype = np.dtype(draw(st.sampled_from("<>")) + draw(st.sampled_from(types)))
    number = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(number).integers(0, 100, shape).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@SETTINGS
@given(data=st.data())
def test_values_are_those_that_were_written(kind, data, tmp_path):
    scanner, name, write, *_ = KINDS[kind]
    values = data.draw(arrays(kind))
    target = data.draw(st.none() | st.integers(1, 400))
    inlined = data.draw(st.sampled_from([0, 64, 10**6]))
    path = tmp_path / name
    write(path, values)
    if kind in ("nifti", "mrc") and data.draw(st.booleans()):
        packed = path.with_name(f"{name}.gz")
        packed.write_bytes(gzip.compress(path.read_bytes(), 1))
        path = packed
    with Source(path) as source:
        options = ScanOptions(chunk_bytes=target, inline_threshold=inlined)
        group, report = scanner().scan(source, options)
    array = group["data"]
    assert array.dtype == values.dtype
    assert np.array_equal(open_stock(group)["data"][...], values.reshape(array.shape))
    assert len(report.rows) == 1 + sum(1 for _ in group.arrays())
    if target is not None and array.chunks.referenced and path.suffix != ".gz":
        cut = np.prod(array.chunk_shape) * array.dtype.itemsize
        assert cut <= max(target, array.dtype.itemsize) * 16


@pytest.mark.parametrize("kind", KINDS)
@SETTINGS
@given(data=st.data())
def test_damaged_headers_are_refused_or_read_soundly(kind, data, tmp_path):
    scanner, name, write, *_ = KINDS[kind]
    path = tmp_path / name
    write(path, np.arange(60, dtype="<i2").reshape(3, 4, 5))
    whole = bytearray(path.read_bytes())
    end = min(len(whole), 1100)
    for at in data.draw(st.lists(st.integers(0, end - 1), min_size=1, max_size=4)):
        whole[at] = data.draw(st.sampled_from([0, 1, 32, 45, 48, 57, 127, 128, 255]))
    path.write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))] or b"x"))
    assert misdeeds(scanner(), [path], isolated=False) == []


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_volumes_are_joined_along_a_new_dimension(kind, packed, tmp_path):
    _, name, write, *_ = KINDS[kind]
    packed = packed and kind in ("nifti", "mrc")
    values = np.arange(3 * 24, dtype="<i2").reshape(3, 2, 3, 4)
    sets = []
    for number, one in enumerate(values):
        path = tmp_path / f"{number}{name}"
        write(path, one)
        if packed:
            whole, path = path.read_bytes(), path.with_name(f"{path.name}.gz")
            path.write_bytes(gzip.compress(whole, 1))
        sets.append(refmaker.scan(path, isolate="never", inline_threshold=0))
    joined = refmaker.combine(
        sets, concat="subject", coords={"subject": ["a", "b", "c"]}, attributes="drop"
    )
    assert joined.group["data"].dimension_names[0] == "subject"
    with refmaker.open_dataset(joined) as opened:
        assert np.array_equal(opened["data"], values)
        assert opened["subject"].values.tolist() == ["a", "b", "c"]
    for check in refmaker.verify(joined, sample=None, isolate="never"):
        assert check.ok or check.path == "subject", (check.path, check.reason)


def test_headers_stand_for_the_data_beside_them():
    urls = ["/a/x.hdr", "/a/x.img", "s3://b/y.nhdr", "s3://b/y.raw.gz", "/a/z.nii", "/b/x.img"]
    assert owners(urls) == {"/a/x.img": "/a/x.hdr", "s3://b/y.raw.gz": "s3://b/y.nhdr"}
