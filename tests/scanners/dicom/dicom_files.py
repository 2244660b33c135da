"""DICOM files written for tests, with pydicom; images without any meaning."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended, itemize_frame
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from refmaker.errors import RefmakerError

NATIVE = str(ExplicitVRLittleEndian)


def dataset(syntax=NATIVE):
    """Return a data set with nothing but its identity."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = UID(syntax)
    made = Dataset()
    made.file_meta = meta
    made.SOPClassUID = SecondaryCaptureImageStorage
    made.SOPInstanceUID = "1.2.3.4"
    made.StudyInstanceUID = "1.2.3"
    made.SeriesInstanceUID = "1.2.3.5"
    made.Modality = "OT"
    return made


def image(pixels, syntax=NATIVE, *, raw=None, **elements):
    """Return an instance with pixels of shape (frames, rows, columns[, samples]).

    `raw` replaces the value of the pixel data; `elements` replace what follows from the pixels,
    None removes one.
    """
    made = dataset(syntax)
    dtype = pixels.dtype
    made.SamplesPerPixel = 1 if pixels.ndim == 3 else pixels.shape[3]
    made.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 3 else "RGB"
    if pixels.ndim == 4:
        made.PlanarConfiguration = 0
    if len(pixels) > 1:
        made.NumberOfFrames = len(pixels)
    made.Rows, made.Columns = pixels.shape[1:3]
    made.BitsAllocated = made.BitsStored = 8 * dtype.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(dtype.kind == "i")
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = pixels.astype(dtype.newbyteorder(order)).tobytes() if raw is None else raw
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OB" if dtype.itemsize == 1 else "OW"
    for name, value in elements.items():
        if value is None:
            delattr(made, name)
        elif name == "vr":
            made["PixelData"].VR = value
        else:
            setattr(made, name, value)
    if made.file_meta.TransferSyntaxUID.is_transfer_syntax and UID(syntax).is_encapsulated:
        made["PixelData"].is_undefined_length = True
        made["PixelData"].VR = "OB"
    return made


def write(made, path):
    """Write an instance in its transfer syntax, and return the path."""
    made.save_as(path, enforce_file_format=True)
    return path


def encapsulated(frames, *, fragments=1, table=True):
    """Return frames as the value of encapsulated pixel data, each in some fragments."""
    return encapsulate(list(frames), fragments_per_frame=fragments, has_bot=table)


def extended(frames):
    """Return the value of encapsulated pixel data with the extended offset table's two values."""
    return encapsulate_extended(list(frames))


def items(groups, *, table=None, delimiter=True):
    """Return encapsulated pixel data of frames that are lists of fragments, byte by byte."""
    entries = b"" if table is None else np.asarray(table, "<u4").tobytes()
    out = [_item(entries)]
    out += [_item(fragment) for group in groups for fragment in group]
    if delimiter:
        out.append(b"\xfe\xff\xdd\xe0\0\0\0\0")
    return b"".join(out)


def offsets(groups):
    """Return the entries of the basic offset table of frames that are lists of fragments."""
    sizes = [sum(8 + len(fragment) for fragment in group) for group in groups]
    return np.concatenate([[0], np.cumsum(sizes)[:-1]])


def _item(data):
    return b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little") + data


def refusal(call):
    """Return the error with which a call refuses, or None."""
    try:
        call()
    except RefmakerError as error:
        return error
    return None


def nested(depth):
    """Return a sequence with one item that holds a sequence, and so on."""
    inner = Dataset()
    inner.CodeValue = "X"
    for _ in range(depth):
        outer = Dataset()
        outer.ConceptNameCodeSequence = Sequence([inner])
        outer.CodeMeaning = "below"
        inner = outer
    return Sequence([inner])


def random_pixels(shape, dtype, seed=0, high=None):
    """Return random values over the whole range of a type, or below `high`."""
    info = np.iinfo(dtype)
    top = info.max if high is None else high - 1
    return np.random.default_rng(seed).integers(info.min, top, shape, dtype, endpoint=True)


__all__ = ["dataset", "encapsulated", "extended", "image", "itemize_frame", "items", "nested"]
