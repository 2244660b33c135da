"""Instances written with pydicom, and what is true of them."""

from __future__ import annotations

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
PET = "1.2.840.10008.5.1.4.1.1.128"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
WSM = "1.2.840.10008.5.1.4.1.1.77.1.6"
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
ROWS, COLUMNS = 6, 5


def uid(text):
    return generate_uid(entropy_srcs=[text])


def numbers(values):
    return [f"{float(value):.10g}" for value in values]


def instance(sop_class=MR, *, series="s1", study="t1", number=1, **elements):
    """Return a data set with identifiers and an empty pixel module."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = sop_class
    data.SOPClassUID = sop_class
    data.SOPInstanceUID = uid(f"{study}/{series}/{number}")
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.StudyInstanceUID = uid(study)
    data.SeriesInstanceUID = uid(f"{study}/{series}")
    data.PatientName = "Sentinel^Patricia"
    data.PatientID = "SENTINEL-4711"
    data.Modality = "MR"
    data.InstanceNumber = number
    for name, value in elements.items():
        setattr(data, name, value)
    return data


def with_pixels(data, values, bits=16):
    """Set the pixel module from values of shape (rows, columns) or (frames, rows, columns)."""
    values = np.asarray(values)
    data.Rows, data.Columns = values.shape[-2:]
    if values.ndim == 3:
        data.NumberOfFrames = values.shape[0]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit = bits - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    data.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    data["PixelData"].VR = "OW" if bits > 8 else "OB"
    return data


def pixels(number, dtype=np.uint16, rows=ROWS, columns=COLUMNS):
    """Return values that are different for every frame."""
    return np.random.default_rng(number).integers(0, 4000, (rows, columns)).astype(dtype)


def slice_of(position, number, *, orientation=AXIAL, spacing=(2.0, 3.0), **elements):
    """Return an instance of one plane."""
    data = instance(number=number, **elements)
    if position is not None:
        data.ImagePositionPatient = numbers(position)
        data.ImageOrientationPatient = numbers(orientation)
    data.PixelSpacing = numbers(spacing)
    return with_pixels(data, pixels(number))


def save(data, path, *, enforce=True):
    """Write a data set, and return the path as text."""
    data.save_as(path, enforce_file_format=enforce)
    return str(path)


def save_all(folder, instances):
    """Write instances under names without order, and return their paths."""
    order = np.random.default_rng(1).permutation(len(instances))
    names = [folder / f"{place:04d}" for place in order]
    return sorted(save(data, name) for data, name in zip(instances, names, strict=True))


def group(**elements):
    """Return a sequence of one item."""
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return Sequence([item])


def enhanced(frames, shared, *, sop_class=ENHANCED_MR, number=1, series="s1", dtype=np.uint16):
    """Return a multi-frame instance.

    `frames` holds one mapping of functional groups for each frame, `shared` those of all;
    a functional group is a mapping of keywords to values.
    """
    data = instance(sop_class, number=number, series=series)
    data.SharedFunctionalGroupsSequence = group(**{k: group(**v) for k, v in shared.items()})
    data.PerFrameFunctionalGroupsSequence = Sequence(
        [group(**{k: group(**v) for k, v in one.items()})[0] for one in frames]
    )
    values = np.stack([pixels(k, dtype) for k in range(len(frames))])
    return with_pixels(data, values)


def tiles(matrix, tile, *, channels=1):
    """Return the tiles of an RGB matrix in the order of TILED_FULL, zeros behind its edges."""
    rows, columns = matrix.shape[:2]
    high, wide = tile
    down, across = -(-rows // high), -(-columns // wide)
    padded = np.zeros((down * high, across * wide, *matrix.shape[2:]), matrix.dtype)
    padded[:rows, :columns] = matrix
    return np.stack(
        [
            padded[y * high : (y + 1) * high, x * wide : (x + 1) * wide]
            for _ in range(channels)
            for y in range(down)
            for x in range(across)
        ]
    )


def slide_level(matrix, tile, *, number=1, spacing=0.001, flavor="VOLUME", **elements):
    """Return a TILED_FULL instance of one level."""
    frames = tiles(matrix, tile)
    data = instance(WSM, number=number, Modality="SM")
    data.ImageType = ["ORIGINAL", "PRIMARY", flavor, "NONE"]
    data.SharedFunctionalGroupsSequence = group(
        PixelMeasuresSequence=group(PixelSpacing=numbers((spacing, spacing)))
    )
    data.TotalPixelMatrixRows, data.TotalPixelMatrixColumns = matrix.shape[:2]
    data.DimensionOrganizationType = "TILED_FULL"
    data.Rows, data.Columns = tile
    data.NumberOfFrames = len(frames)
    data.SamplesPerPixel = 3
    data.PlanarConfiguration = 0
    data.PhotometricInterpretation = "RGB"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    data.PixelRepresentation = 0
    data.PixelData = frames.tobytes() + b"\0" * (frames.nbytes % 2)
    data["PixelData"].VR = "OB"
    for name, value in elements.items():
        setattr(data, name, value)
    return data


def by_number(paths):
    """Return data sets by instance number."""
    read = [pydicom.dcmread(path) for path in paths]
    return {int(data.InstanceNumber): data for data in read}
