"""The oracle finds what lies in a wrong place, also where the scanner itself puts it there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import refmaker
from refmaker.errors import UnsupportedError
from refmaker.model import ChunkTable
from refmaker.scanners.dicom import DICOMScanner, matrix, pydicom_frames, series
from refmaker.scanning.protocol import MismatchError
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import open_stock
from refmaker.verification.compare import compare_array, same_values
from refmaker.verification.verify import verify
from tests.scanners.dicom.image_files import (
    PET,
    RT_DOSE,
    enhanced,
    numbers,
    save,
    save_all,
    slice_of,
    slide_level,
)
from tests.scanners.dicom.test_joining import timed, volume
from tests.scanners.dicom.test_volumes import SHARED, collect, plane, repeated, segmentation


def two_orientations(folder):
    made = [slice_of((0, 0, 2 * k), k + 1) for k in range(3)]
    tilted = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
    made += [slice_of((2 * k, 0, 0), k + 9, orientation=tilted) for k in range(4)]
    return save_all(folder, made)


def dose(folder):
    data = enhanced([{}] * 4, {}, sop_class=RT_DOSE)
    del data.SharedFunctionalGroupsSequence
    del data.PerFrameFunctionalGroupsSequence
    data.ImagePositionPatient = numbers((1, 2, 3))
    data.ImageOrientationPatient = numbers((1, 0, 0, 0, 1, 0))
    data.PixelSpacing = numbers((2, 2))
    data.GridFrameOffsetVector = numbers((0, 3, 6, 9))
    data.DoseGridScaling = "0.5"
    return [save(data, folder / "dose")]


def tiled(folder):
    matrix_ = np.random.default_rng(0).integers(0, 255, (11, 14, 3)).astype(np.uint8)
    return [save(slide_level(matrix_, (4, 5)), folder / "slide")]


def uneven(folder):
    made = [slice_of((0, 0, z), k + 1) for k, z in enumerate((0, 1, 2.5, 7))]
    return save_all(folder, made)


SETS = {
    "stack": lambda f: save_all(f, [slice_of((0, 0, 2 * k), 9 - k) for k in range(6)]),
    "gap": lambda f: save_all(f, [slice_of((0, 0, k), k + 1) for k in (0, 1, 2, 4, 5)]),
    "uneven": uneven,
    "row": lambda f: save_all(f, [slice_of(None, k + 1) for k in range(4)]),
    "echoes": lambda f: repeated(f, "EchoTime", ["2.5", "1.5", "9"]),
    "times": lambda f: repeated(f, "TemporalPositionIdentifier", [2, 1]),
    "repeats": lambda f: repeated(f, None, [0, 1]),
    "kinds": lambda f: repeated(f, "ImageType", [["ORIGINAL", "M"], ["ORIGINAL", "P"]]),
    "clock": lambda f: save_all(
        f, [slice_of((0, 0, k % 3), k + 1, AcquisitionTime=f"1200{k:02d}") for k in range(9)]
    ),
    "rescaled": lambda f: save_all(
        f,
        [
            slice_of((0, 0, k), k + 1, sop_class=PET, RescaleSlope=str(k + 1), RescaleIntercept="0")
            for k in range(4)
        ],
    ),
    "orientations": two_orientations,
    "enhanced": lambda f: [
        save(
            enhanced(
                [
                    plane(4.0 * z, FrameContentSequence={"TemporalPositionIndex": t + 1})
                    for z in (2, 0, 1)
                    for t in (1, 0)
                ],
                SHARED,
            ),
            f / "e",
        )
    ],
    "joined": lambda f: [save(volume(k + 1, frame=timed(k))[0], f / f"{k}.dcm") for k in range(3)],
    "segments": lambda f: [save(segmentation([(1, 0), (1, 1), (2, 1)])[0], f / "seg")],
    "dose": dose,
    "slide": tiled,
}


def differences(paths, group):
    """Return the arrays of a set that differ from what the oracle reads, with what it says."""
    stock = open_stock(group)
    found = {}
    with DICOMScanner().native_collection(paths, None) as native:
        for name, array in group.arrays():
            try:
                true = native.read(name, array, tuple(slice(0, n) for n in array.shape))
            except (MismatchError, UnsupportedError) as error:
                found[name] = str(error)
                continue
            if not same_values(np.asarray(stock[name][...]), np.asarray(true)):
                found[name] = "differs"
    return found


@pytest.mark.parametrize("kind", SETS)
def test_what_is_right_is_equal(tmp_path, kind):
    paths = SETS[kind](tmp_path)
    group, _ = collect(paths)
    assert differences(paths, group) == {}


def swapped_cells(discovered):
    def wrong(*args, **kwargs):
        grid = discovered(*args, **kwargs)
        cell = grid.cell.copy()
        cell[[0, -1]] = cell[[-1, 0]]
        return replace(grid, cell=cell)

    return wrong


@pytest.mark.parametrize("kind", [k for k in SETS if k not in ("row", "slide")])
def test_a_scanner_that_swaps_two_frames_is_found_out(tmp_path, kind, monkeypatch):
    paths = SETS[kind](tmp_path)
    monkeypatch.setattr(series, "discover", swapped_cells(series.discover))
    group, _ = collect(paths)
    assert differences(paths, group)["image"]


def test_a_scanner_that_moves_a_slice_is_found_out(tmp_path, monkeypatch):
    paths = SETS["gap"](tmp_path)
    true = series.stack

    def wrong(position, orientation):
        found = true(position, orientation)
        # The place without a frame is taken to be another one.
        slot = np.where(found.slot == 4, 3, found.slot)
        return replace(found, slot=slot, missing=(4,))

    monkeypatch.setattr(series, "stack", wrong)
    group, _ = collect(paths)
    assert "image" in differences(paths, group)


def test_a_scanner_that_invents_an_affine_is_found_out(tmp_path, monkeypatch):
    paths = SETS["stack"](tmp_path)
    true = series.stack

    def wrong(position, orientation):
        found = true(position, orientation)
        return replace(found, step=found.step * 1.5, offset=found.offset * 1.5)

    monkeypatch.setattr(series, "stack", wrong)
    group, _ = collect(paths)
    assert {"image", "z"} <= differences(paths, group).keys()


def test_a_scanner_that_swaps_two_tiles_is_found_out(tmp_path, monkeypatch):
    paths = SETS["slide"](tmp_path)
    true = matrix._full

    def wrong(*args):
        found = true(*args)
        column = found.tile_column.copy()
        column[[0, 1]] = column[[1, 0]]
        return replace(found, tile_column=column)

    monkeypatch.setattr(matrix, "_full", wrong)
    group, _ = collect(paths)
    assert "image" in differences(paths, group)


@pytest.mark.parametrize("kind", ["stack", "echoes", "joined", "rescaled"])
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_set_that_was_tampered_with_is_found_out(tmp_path_factory, kind, data):
    folder = tmp_path_factory.mktemp(kind)
    paths = SETS[kind](folder)
    group, report = collect(paths)
    name = data.draw(st.sampled_from(sorted(n for n, _ in group.arrays())))
    array = group[name]
    if name == "image":
        a, b = data.draw(st.lists(st.integers(0, array.chunks.size - 1), min_size=2, max_size=2))
        if a == b:
            return
        index = array.chunks.numbers().astype(np.int64)
        moved = np.where(index == a, b, np.where(index == b, a, index))
        table = array.chunks
        chunks = ChunkTable.from_columns(
            table.grid, table.urls, offset=table.offset, length=table.length, url=table.url,
            index=moved,
        )  # fmt: skip
        wrong = replace(array, chunks=chunks)
    else:
        (raw,) = array.chunks.inlined.values()
        at = data.draw(st.integers(0, len(raw) - 1))
        flipped = bytes([*raw[:at], raw[at] ^ 0x41, *raw[at + 1 :]])
        if array.compressor is not None:
            return
        wrong = replace(array, chunks=ChunkTable.inline(array.chunks.grid, {0: flipped}))
    tampered = replace(group, members={**group.members, name: wrong})
    found = verify(ReferenceSet(tampered, report), sample=None, isolate="never")
    checks = {check.path: check for check in found}
    assert not checks[name].ok
    assert all(check.ok for path, check in checks.items() if path != name)


def test_lossy_frames_are_compared_within_a_stated_bound(tmp_path, monkeypatch):
    import imagecodecs
    from pydicom.uid import JPEGExtended12Bit

    from tests.scanners.dicom.dicom_files import encapsulated, image, write

    smooth = np.add.outer(np.arange(32), np.arange(40))[None].astype(np.uint16) * 40
    stream = imagecodecs.jpeg8_encode(smooth[0], level=90, bitspersample=12)
    made = image(smooth, str(JPEGExtended12Bit), raw=encapsulated([stream]), BitsStored=12)
    made.HighBit = 11
    path = str(write(made, tmp_path / "a.dcm"))
    with DICOMScanner().native_collection([path], None) as native:
        array = collect([path])[0]["image"]
        assert native.tolerance("image", array).absolute == 1
        assert native.tolerance("y", array) is None
    decoded = imagecodecs.jpeg8_decode(stream)
    refs = ReferenceSet(*collect([path]))
    for off, equal in ((1, True), (2, False)):
        values = decoded.astype(np.int64)
        values[3, 4] += off
        monkeypatch.setattr(
            pydicom_frames.PydicomFrames, "frame", lambda *_, v=values: v.astype(np.uint16)
        )
        with DICOMScanner().native_collection([path], None) as native:
            check = compare_array("image", array, refmaker.open_store(refs), native, [0], 1 << 30)
        assert check.ok is equal
