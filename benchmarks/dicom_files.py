"""Inputs of the DICOM benchmark: series of slices, of enhanced volumes, of mosaics."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
)

__all__ = ["write_enhanced", "write_mosaics", "write_series", "write_volumes"]

ROWS, SLICES = 512, 36
_TEXTS = {
    "AccessionNumber": "A1",
    "ConvolutionKernel": "STANDARD",
    "FilterType": "BODY",
    "InstitutionName": "Hospital",
    "Manufacturer": "ACME",
    "ManufacturerModelName": "Scanner",
    "PatientAge": "050Y",
    "PatientBirthDate": "19700101",
    "PatientID": "ID1",
    "PatientName": "DOE^JOHN",
    "PatientPosition": "FFS",
    "PatientSex": "M",
    "PositionReferenceIndicator": "SN",
    "ProtocolName": "chest",
    "ReferringPhysicianName": "R^P",
    "RescaleType": "HU",
    "RotationDirection": "CW",
    "ScanOptions": "HELICAL MODE",
    "SeriesDescription": "axial",
    "SoftwareVersions": "1.0",
    "StudyDescription": "chest",
    "StudyID": "1",
}
_NUMBERS = {
    "DataCollectionDiameter": "500",
    "DistanceSourceToDetector": "949.075",
    "DistanceSourceToPatient": "541.0",
    "Exposure": "150",
    "ExposureTime": "500",
    "FocalSpots": "0.7",
    "GantryDetectorTilt": "0",
    "GeneratorPower": "30",
    "KVP": "120",
    "PatientWeight": "80",
    "ReconstructionDiameter": "350",
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "SliceThickness": "1.25",
    "TableHeight": "150",
    "WindowCenter": "40",
    "WindowWidth": "400",
    "XRayTubeCurrent": "300",
}


def _dataset(kind: str, syntax: str, number: int) -> Dataset:
    made, meta = Dataset(), FileMetaDataset()
    meta.MediaStorageSOPClassUID = kind
    meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
    meta.TransferSyntaxUID = syntax
    made.file_meta = meta
    made.SpecificCharacterSet = "ISO_IR 100"
    made.SOPClassUID, made.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3.1", "1.2.3.1.2"
    made.FrameOfReferenceUID = "1.2.3.9"
    for name, value in (*_TEXTS.items(), *_NUMBERS.items()):
        setattr(made, name, value)
    for name in ("Study", "Series", "Acquisition", "Content"):
        setattr(made, f"{name}Date", "20200101")
        setattr(made, f"{name}Time", "101010")
    made.InstanceNumber = number + 1
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.PixelRepresentation = 1
    return made


def _slice(number: int, pixels: bytes) -> Dataset:
    """Return a slice with about 120 elements, 51 of them private, and three sequences."""
    made = _dataset(CTImageStorage, ExplicitVRLittleEndian, number)
    made.Modality, made.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    reference = Dataset()
    reference.ReferencedSOPClassUID = CTImageStorage
    reference.ReferencedSOPInstanceUID = "1.2.3"
    for name in ("ReferencedImage", "SourceImage", "ReferencedStudy"):
        setattr(made, f"{name}Sequence", Sequence([reference]))
    for group, vr in ((0x09, "DS"), (0x19, "LO"), (0x43, "SS")):
        block = made.private_block(group, f"ACME {group:02X}", create=True)
        for element in range(16):
            block.add_new(element, vr, element if vr == "SS" else f"{element}.5")
    made.SeriesNumber, made.AcquisitionNumber = 2, 1
    made.ImagePositionPatient = [-170.5, -170.25, -100 + 1.25 * number]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.SliceLocation = f"{-100 + 1.25 * number}"
    made.Rows = made.Columns = ROWS
    made.PixelSpacing = [0.68, 0.68]
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit = 15
    made.PixelData = pixels
    return made


def write_series(folder: Path, count: int) -> None:
    """Write the slices of one CT series, 0.5 MB each."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.arange(ROWS * ROWS, dtype="<i2").tobytes()
    for number in range(count):
        _slice(number, pixels).save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)


def _frame(number: int) -> Dataset:
    """Return the functional groups of one frame, all lengths undefined."""
    groups = Dataset()
    content, position, orientation = Dataset(), Dataset(), Dataset()
    content.StackID, content.InStackPositionNumber = "1", number + 1
    content.DimensionIndexValues = [1, number + 1]
    position.ImagePositionPatient = [0, 0, 1.5 * number]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures, window, rescale = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1, 1], 1.5
    window.WindowCenter, window.WindowWidth = 40, 400
    rescale.RescaleIntercept, rescale.RescaleSlope, rescale.RescaleType = 0, 1, "US"
    for name, item in (
        ("FrameContent", content),
        ("PlanePosition", position),
        ("PlaneOrientation", orientation),
        ("PixelMeasures", measures),
        ("FrameVOILUT", window),
        ("PixelValueTransformation", rescale),
    ):
        item.is_undefined_length_sequence_item = True
        setattr(groups, f"{name}Sequence", Sequence([item]))
        groups[f"{name}Sequence"].is_undefined_length = True
    groups.is_undefined_length_sequence_item = True
    return groups


def write_enhanced(path: Path, count: int) -> None:
    """Write one enhanced MR file of many RLE frames, with sequences of undefined lengths."""
    made = _dataset(EnhancedMRImageStorage, RLELossless, 0)
    made.Modality, made.ImageType = "MR", ["ORIGINAL", "PRIMARY", "OTHER", "NONE"]
    made.NumberOfFrames = count
    made.Rows = made.Columns = 128
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit = 15
    made.SharedFunctionalGroupsSequence = Sequence([Dataset()])
    made.PerFrameFunctionalGroupsSequence = Sequence([_frame(i) for i in range(count)])
    made["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
    # Two segments of one run for each row: a frame that costs nothing to write.
    segment = b"\x81\x05" * 128
    head = np.zeros(16, "<u4")
    head[:3] = [2, 64, 64 + len(segment)]
    frame = head.tobytes() + segment * 2
    made.PixelData = encapsulate([frame] * count)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)


def write_volumes(folder: Path, count: int) -> None:
    """Write one enhanced MR file for each volume of 36 slices, as Siemens XA does.

    The value of flat pixel p of volume v is (7 p + 1000 v) modulo 65536.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.arange(SLICES * 16 * 16, dtype=np.int64) * 7
    for v in range(count):
        made = _dataset(EnhancedMRImageStorage, ExplicitVRLittleEndian, v)
        made.Modality, made.ImageType = "MR", ["ORIGINAL", "PRIMARY", "M", "NONE"]
        made.SeriesNumber, made.AcquisitionNumber = 1, v + 1
        minute, second = 10 + v // 60, v % 60
        made.ContentTime = f"10{minute:02}{second:02}"
        made.NumberOfFrames, made.Rows, made.Columns = SLICES, 16, 16
        made.BitsAllocated = made.BitsStored = 16
        made.HighBit, made.PixelRepresentation = 15, 0
        measures, orientation, shared = Dataset(), Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness = [2, 2], 3
        orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        shared.PixelMeasuresSequence = Sequence([measures])
        shared.PlaneOrientationSequence = Sequence([orientation])
        made.SharedFunctionalGroupsSequence = Sequence([shared])
        items = []
        for s in range(SLICES):
            item, content, position = Dataset(), Dataset(), Dataset()
            content.FrameAcquisitionDateTime = f"2020010110{minute:02}{second:02}.{10 * s:03}000"
            content.DimensionIndexValues = [1, s + 1]
            position.ImagePositionPatient = [0, 0, 3 * s]
            item.FrameContentSequence = Sequence([content])
            item.PlanePositionSequence = Sequence([position])
            items.append(item)
        made.PerFrameFunctionalGroupsSequence = Sequence(items)
        made.PixelData = ((pixels + 1000 * v) & 0xFFFF).astype("<u2").tobytes()
        made.save_as(folder / f"{v:05d}.dcm", enforce_file_format=True)


def write_mosaics(folder: Path, count: int) -> None:
    """Write mosaics of 36 slices of 64 x 64 pixels, whose number stands in a private element."""
    folder.mkdir(parents=True, exist_ok=True)
    for v in range(count):
        made = _dataset(MRImageStorage, ExplicitVRLittleEndian, v)
        made.Modality, made.ImageType = "MR", ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
        made.AcquisitionNumber = v + 1
        made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
        made.PixelSpacing, made.SpacingBetweenSlices = [3, 3], 3
        block = made.private_block(0x19, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0A, "US", SLICES)
        made.Rows = made.Columns = 384
        made.BitsAllocated = made.BitsStored = 16
        made.HighBit = 15
        made.PixelData = np.random.default_rng(v).integers(0, 4096, 384 * 384, "<i2").tobytes()
        made.save_as(folder / f"{v:05d}.dcm", enforce_file_format=True)


KINDS = {
    "series": write_series,
    "enhanced": write_enhanced,
    "volumes": write_volumes,
    "mosaics": write_mosaics,
}

if __name__ == "__main__":
    what, where, many = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    KINDS[what](where, many)
