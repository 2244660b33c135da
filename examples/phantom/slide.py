"""A whole-slide image of a tissue that does not exist: three levels, tiles of 128 pixels."""

from pathlib import Path

import numpy as np
from pydicom.sequence import Sequence

from phantom.study import _item, instance, save

WSM = "1.2.840.10008.5.1.4.1.1.77.1.6"
SIZE, TILE, MICROMETRES = 768, 128, 0.5
LEVELS = 3


def tissue() -> np.ndarray:
    """Return a picture in the colours of haematoxylin and eosin, of shape (rows, columns, 3)."""
    random = np.random.default_rng(19)
    row, column = np.mgrid[:SIZE, :SIZE] / SIZE
    waves = np.sin(17 * row + 5 * np.sin(9 * column)) + np.sin(13 * column + 4 * np.cos(11 * row))
    edge = (row - 0.5) ** 2 + (column - 0.5) ** 2 < 0.19 + 0.012 * waves
    eosin = np.where(edge, 0.45 + 0.12 * waves, 0.0)
    nuclei = np.zeros((SIZE, SIZE))
    for y, x, radius in random.uniform([0, 0, 4], [SIZE, SIZE, 8], (900, 3)):
        top, left = int(max(0, y - 9)), int(max(0, x - 9))
        box = np.mgrid[top : min(SIZE, int(y) + 10), left : min(SIZE, int(x) + 10)]
        near = (box[0] - y) ** 2 + (box[1] - x) ** 2 < radius**2
        part = nuclei[top : top + box.shape[1], left : left + box.shape[2]]
        part[near] = random.uniform(0.7, 1.0)
    nuclei *= edge
    # Stains take light away, each from its colours (Beer and Lambert).
    absorbed = nuclei[..., None] * [1.3, 1.4, 0.5] + eosin[..., None] * [0.12, 1.0, 0.45]
    grain = random.normal(0, 2, (SIZE, SIZE, 3))
    return (245 * np.exp(-absorbed) + grain).clip(0, 255).astype(np.uint8)


def write_slide(folder: str | Path) -> Path:
    """Write the levels of the slide into a folder, which is made, and return it."""
    picture = tissue()
    for level in range(LEVELS):
        _write_level(Path(folder), picture, level)
        halves = picture.reshape(picture.shape[0] // 2, 2, picture.shape[1] // 2, 2, 3)
        picture = halves.mean(axis=(1, 3)).round().astype(np.uint8)
    return Path(folder)


def _write_level(folder: Path, picture: np.ndarray, level: int) -> None:
    rows, columns = picture.shape[:2]
    down, across = -(-rows // TILE), -(-columns // TILE)
    padded = np.full((down * TILE, across * TILE, 3), 255, np.uint8)
    padded[:rows, :columns] = picture
    tiles = padded.reshape(down, TILE, across, TILE, 3).swapaxes(1, 2).reshape(-1, TILE, TILE, 3)
    data = instance("Section, H&E", "1", level + 1, "SM", WSM)
    data.StudyInstanceUID = data.StudyInstanceUID[:-1] + "9"
    data.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "RESAMPLED" if level else "NONE"]
    data.TotalPixelMatrixRows, data.TotalPixelMatrixColumns = rows, columns
    data.DimensionOrganizationType = "TILED_FULL"
    data.Rows = data.Columns = TILE
    data.NumberOfFrames = len(tiles)
    data.SamplesPerPixel, data.PhotometricInterpretation = 3, "RGB"
    data.PlanarConfiguration = data.PixelRepresentation = 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    spacing = MICROMETRES / 1000 * 2**level
    data.SharedFunctionalGroupsSequence = _item(
        PixelMeasuresSequence=_item(PixelSpacing=[spacing, spacing])
    )
    data.OpticalPathSequence = Sequence(_item(OpticalPathIdentifier="1"))
    data.PixelData = tiles.tobytes()
    data["PixelData"].VR = "OB"
    save(data, folder)
