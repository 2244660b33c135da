"""Draw the pictures of docs/tasks/study.md: what refmaker reads of the phantom of the examples.

Run ``python docs/scripts/pictures.py`` to draw them anew, and those of docs/index.md (`landing`);
tests compare them with the scripts.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

import refmaker

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "figures"

GAP, MARGIN = 8, 255
"""Pixels between panels, and their grey level."""
OPAQUE = 0.45
"""How much of the colour of a label is seen."""


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Return the pictures by file name, each of shape (rows, columns, 3)."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        from phantom import write_slide, write_study
    finally:
        sys.path.pop(0)
    with TemporaryDirectory() as folder:
        study = refmaker.scan(write_study(f"{folder}/study"))
        slide = refmaker.scan(write_slide(f"{folder}/slide"))
        return {
            "study-ct.png": ct(study),
            "study-diffusion.png": diffusion(study),
            "study-slide.png": levels(slide),
        }


def ct(study: refmaker.ReferenceSet) -> NDArray[np.uint8]:
    """Return an axial and a coronal slice of the CT, without and with its labels."""
    group: Any = refmaker.open_group(study)["study-1/series-1"]
    (channel,) = group.attrs["omero"]["channels"]
    window = channel["window"]
    grey = scaled(group["image"][...], window["start"], window["end"])
    plain = np.repeat(grey[..., None], 3, axis=-1)
    shown = plain.astype(float)
    for name in group["labels"].attrs["labels"]:
        label = group[f"labels/{name}"]
        values = label["image"][...]
        for one in label.attrs["image-label"]["colors"]:
            inside = values == one["label-value"]
            shown[inside] = (1 - OPAQUE) * shown[inside] + OPAQUE * np.array(one["rgba"][:3])
    spacing = group["image"].attrs["spacing"]
    panels = []
    for volume in plain, shown.round().astype(np.uint8):
        panels.append(enlarged(volume[11], (2.0, 2.0)))
        # Slices lie further apart than rows; the head is up.
        coronal = volume[::-1, 46]
        panels.append(enlarged(coronal, (2.0 * spacing[0] / spacing[2], 2.0)))
    return row(panels)


def diffusion(study: refmaker.ReferenceSet) -> NDArray[np.uint8]:
    """Return the middle slice for each direction of the gradient."""
    image = refmaker.to_nibabel(study, "study-1/series-2")
    middle = np.asarray(image.dataobj[:, :, 4, :]).T
    return row(
        [enlarged(np.repeat(scaled(one, 0, 900)[..., None], 3, axis=-1), (4, 4)) for one in middle]
    )


def levels(slide: refmaker.ReferenceSet) -> NDArray[np.uint8]:
    """Return the same number of pixels around the middle of each level, smallest level first."""
    panels = []
    for number in (2, 1, 0):
        array: Any = refmaker.open_group(slide)[f"{number}/image"]
        top = array.shape[1] // 2 - 96
        part = array[:, top : top + 192, top : top + 192]
        # Fewer levels of colour make a smaller file.
        panels.append(np.moveaxis(part, 0, -1) // 16 * 16 + 8)
    return row(panels)


def scaled(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Return values as levels of grey."""
    grey = (values.astype(float) - low) / (high - low) * 255
    return np.asarray(grey.clip(0, 255).round(), np.uint8)


def enlarged(panel: NDArray[np.uint8], factors: tuple[float, float]) -> NDArray[np.uint8]:
    """Return a panel with pixels repeated; factors of rows and of columns."""
    at = [
        (np.arange(round(extent * factor)) / factor).astype(int).clip(0, extent - 1)
        for extent, factor in zip(panel.shape[:2], factors, strict=True)
    ]
    return panel[np.ix_(*at)]


def row(panels: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return panels beside one another, in the middle of the tallest."""
    tall = max(panel.shape[0] for panel in panels)
    wide = sum(panel.shape[1] for panel in panels) + GAP * (len(panels) - 1)
    found = np.full((tall, wide, 3), MARGIN, np.uint8)
    left = 0
    for panel in panels:
        top = (tall - panel.shape[0]) // 2
        found[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
        left += panel.shape[1] + GAP
    return found


def main() -> None:
    """Draw all of them."""
    from PIL import Image

    FOLDER.mkdir(exist_ok=True)
    for name, picture in pictures().items():
        Image.fromarray(picture).save(FOLDER / name, optimize=True)
    import landing

    with TemporaryDirectory() as folder:
        landing.draw(Path(folder))


if __name__ == "__main__":
    main()
