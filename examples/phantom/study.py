"""The phantom as the files of a study: CT, two segmentations of it, and diffusion MR."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from phantom import anatomy

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SEG, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
B_VALUE, DIRECTIONS = 1000.0, np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0]])
MR_SHAPE, MR_PIXEL, MR_STEP = (8, 32, 32), 6.0, 12.0


def write_study(folder: str | Path) -> Path:
    """Write the study into a folder, which is made, and return it."""
    folder = Path(folder)
    units, organs, lesion = anatomy.torso()
    _ct(folder / "ct", units)
    _label_map(folder / "organs", organs)
    _binary(folder / "lesion", lesion)
    _diffusion(folder / "dwi")
    return folder


def uid(text: str) -> str:
    """Return the same UID for the same text."""
    return generate_uid(entropy_srcs=["phantom", text])


def instance(kind: str, series: str, number: int, modality: str, sop_class: str) -> Dataset:
    """Return what every instance says."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.SOPInstanceUID = uid(f"{series}/{number}")
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study"), uid(series)
    data.FrameOfReferenceUID = uid("torso" if modality in ("CT", "SEG") else kind)
    data.PatientName, data.PatientID = "Phantom^Petra", "PHANTOM-0019"
    data.Modality, data.SeriesNumber, data.InstanceNumber = modality, int(series), number
    data.SeriesDescription = kind
    return data


def pixels(data: Dataset, values: np.ndarray, bits: int) -> None:
    """Set the pixel module from unsigned or signed values of (frames,) rows and columns."""
    data.Rows, data.Columns = values.shape[-2:]
    if values.ndim == 3:
        data.NumberOfFrames = values.shape[0]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit, data.PixelRepresentation = bits - 1, int(values.dtype.kind == "i")
    raw = values.tobytes()
    if bits == 1:
        raw = np.packbits(values.reshape(-1), bitorder="little").tobytes()
    data.PixelData = raw + b"\0" * (len(raw) % 2)
    data["PixelData"].VR = "OW" if bits > 8 else "OB"


def save(data: Dataset, folder: Path) -> None:
    """Write an instance under a name that tells nothing, as archives do."""
    folder.mkdir(parents=True, exist_ok=True)
    data.save_as(folder / f"{data.SOPInstanceUID[-12:]}.dcm", enforce_file_format=True)


def _position(slice_number: int) -> list[float]:
    x, y, z = anatomy.FIRST
    return [x, y, z + slice_number * anatomy.STEP]


def _ct(folder: Path, units: np.ndarray) -> None:
    for number, values in enumerate(units, 1):
        data = instance("Torso 5.0 B30", "2", number, "CT", CT)
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.ImagePositionPatient = _position(number - 1)
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.PixelSpacing = [anatomy.PIXEL, anatomy.PIXEL]
        data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"
        data.WindowCenter, data.WindowWidth = 40, 400
        pixels(data, (values + 1024).clip(0).astype(np.uint16), 16)
        save(data, folder)


def _item(**elements: object) -> Sequence:
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return Sequence([item])


def _segment(number: int, label: str, code: str, colour: tuple[int, int, int] | None) -> Dataset:
    item = Dataset()
    item.SegmentNumber, item.SegmentLabel, item.SegmentAlgorithmType = number, label, "MANUAL"
    item.SegmentedPropertyTypeCodeSequence = _item(
        CodeValue=code, CodingSchemeDesignator="SCT", CodeMeaning=label
    )
    if colour is not None:
        item.RecommendedDisplayCIELabValue = cielab(colour)
    return item


def _segmentation(kind: str, series: str, sop_class: str, frames: list[Dataset]) -> Dataset:
    data = instance(kind, series, 1, "SEG", sop_class)
    data.ReferencedSeriesSequence = _item(SeriesInstanceUID=uid("2"))
    data.SharedFunctionalGroupsSequence = _item(
        PlaneOrientationSequence=_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=_item(PixelSpacing=[anatomy.PIXEL, anatomy.PIXEL]),
    )
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return data


def _label_map(folder: Path, organs: np.ndarray) -> None:
    frames = [
        _item(PlanePositionSequence=_item(ImagePositionPatient=_position(k)))[0]
        for k in range(len(organs))
    ]
    data = _segmentation("Model 7, all classes", "301", LABEL_MAP, frames)
    data.SegmentationType = "LABELMAP"
    data.SegmentSequence = Sequence(
        _segment(number, label, anatomy.CODES[number], anatomy.COLOURS[number])
        for number, label in anatomy.ORGANS.items()
    )
    pixels(data, organs, 8)
    save(data, folder)


def _binary(folder: Path, lesion: np.ndarray) -> None:
    # Slices without any of it have no frame.
    present = np.flatnonzero(lesion.any(axis=(1, 2))).tolist()
    frames = [
        _item(
            PlanePositionSequence=_item(ImagePositionPatient=_position(k)),
            SegmentIdentificationSequence=_item(ReferencedSegmentNumber=1),
        )[0]
        for k in present
    ]
    data = _segmentation("Drawn by hand", "302", SEG, frames)
    data.SegmentationType = "BINARY"
    data.SegmentSequence = Sequence([_segment(1, "Lesion", "4147007", (230, 60, 60))])
    pixels(data, lesion[present], 1)
    save(data, folder)


def _diffusion(folder: Path) -> None:
    volumes = [(0.0, np.zeros(3)), *((B_VALUE, vector) for vector in DIRECTIONS)]
    number = 0
    for b_value, direction in volumes:
        values = anatomy.diffusion(b_value, direction, MR_SHAPE).astype(np.uint16)
        for k, plane in enumerate(values):
            number += 1
            data = instance("DWI 4 directions", "5", number, "MR", MR)
            half = MR_PIXEL * (MR_SHAPE[1] - 1) / 2
            data.ImagePositionPatient = [-half, -half, k * MR_STEP]
            data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            data.PixelSpacing = [MR_PIXEL, MR_PIXEL]
            data.DiffusionBValue = b_value
            if b_value:
                data.DiffusionGradientOrientation = direction.tolist()
            pixels(data, plane, 16)
            save(data, folder)


def cielab(rgb: tuple[int, int, int]) -> list[int]:
    """Return a colour of sRGB as DICOM has it (PS3.3, C.10.7.1.1), of the white point D65."""
    parts = np.array(rgb) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
         [0.0193339, 0.1191920, 0.9503041]]
    )  # fmt: skip
    shares = matrix @ linear / [0.95047, 1.0, 1.08883]
    roots = np.where(shares > 216 / 24389, np.cbrt(shares), (24389 / 27 * shares + 16) / 116)
    lightness = 116 * roots[1] - 16
    a, b = 500 * (roots[0] - roots[1]), 200 * (roots[1] - roots[2])
    scaled = [lightness / 100, (a + 128) / 255, (b + 128) / 255]
    return [round(part * 65535) for part in scaled]


if __name__ == "__main__":
    write_study("study")
    print(f"pydicom {pydicom.__version__} wrote study/")
