"""Five slices of a CT series, as DICOM: a vertebra of water and bone, of a patient who is none."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SIDE, SLICES, SPACING, STEP = 32, 5, 0.5, 2.5
"""Pixels along each side, slices, and millimetres between them."""
ROOT = "2.25.2026"
"""Of all unique identifiers."""


def values(number: int) -> np.ndarray:
    """Return the Hounsfield units of a slice: air, water, and a ring of bone that widens."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    distance = np.hypot(x, y)
    units = np.where(distance < 14, 0, -1000)
    units[np.abs(distance - 5 - 0.4 * number) < 1.5] = 900
    noise = np.random.default_rng(number).normal(0, 8, units.shape)
    return np.round(units + noise).astype("i2")


def write(folder: Path) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(SLICES):
        _slice(number).save_as(folder / f"{number + 1:04d}.dcm", enforce_file_format=True)


def _slice(number: int) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, f"{ROOT}.1.{number + 1}"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{ROOT}.2", f"{ROOT}.3"
    made.FrameOfReferenceUID = f"{ROOT}.4"
    made.PatientName, made.PatientID, made.PatientBirthDate = "Doe^Jane", "0815", "19700101"
    made.StudyDate, made.StudyTime = "20260301", "101500"
    made.AccessionNumber, made.StudyID, made.ReferringPhysicianName = "", "1", "Roe^Richard"
    made.PatientSex, made.Manufacturer, made.Modality = "F", "formulas", "CT"
    made.SeriesNumber, made.AcquisitionNumber, made.InstanceNumber = 5, 1, number + 1
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.ImagePositionPatient = [-8.0, -8.0, -40 + STEP * number]
    made.PixelSpacing, made.SliceThickness, made.KVP = [SPACING, SPACING], STEP, 120
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = -1024, 1, "HU"
    made.Rows = made.Columns = SIDE
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = (values(number) + 1024).clip(0, 4095).astype("<u2").tobytes()
    return made
