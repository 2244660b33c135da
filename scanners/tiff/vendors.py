"""Files of microscopes and slide scanners whose layout tifffile knows.

tifffile says which pages form which axes; everything else comes from the pages themselves.
"""

from __future__ import annotations

import io
import logging
import math
import os
import re
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.tiff.image_model import Axis, Image, Level, axis_names
from refmaker.scanners.tiff.tifffile_series import shape_and_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanners.tiff.pages import Pages
    from refmaker.scanners.tiff.related_files import RelatedTIFFs

__all__ = ["read_images", "vendor"]

_TAGS = {
    34412: "lsm", 51123: "micromanager", 34362: "fluoview", 33628: "stk", 33560: "sis",
    33471: "sis", 65420: "ndpi", 43314: "nih", 33445: "mdgel",
}  # fmt: skip
_KINDS = frozenset(
    {
        "lsm", "mmstack", "ndtiff", "fluoview", "stk", "sis", "scn", "qpi", "ndpi", "bif", "avs",
        "eer", "scanimage", "nih", "mdgel",
    }
)  # fmt: skip
_STRIPS, _LSM = 273, 34412
_SOFTWARE, _XMP, _PRIVATE, _EER = 305, 700, 65000, 65001
_ROLES = ("label", "macro", "thumbnail", "map", "other", "unknown", "integrated")


def vendor(pages: Pages, description: str) -> str:
    """Return the vendor's format that the first page shows; empty if none.

    Parameters
    ----------
    description : str
        The first page's.
    """
    page = int(pages.main[0])
    for code, name in _TAGS.items():
        if bool(pages.has(code)[page]):
            return name
    software = pages.text(page, _SOFTWARE)
    if description[-16:].rstrip("\0 \r\n").endswith("</scn>"):
        return "scn"
    if software.startswith("PerkinElmer-QPI"):
        return "qpi"
    scanner = "Ventana" in software or software.startswith("ScanOutputManager")
    if bool(pages.has(_XMP)[page]) and (
        scanner or description in ("Label Image", "Label_Image", "Probability_Image")
    ):
        return "bif"
    if software.startswith("SI.") or description.startswith("state."):
        return "scanimage"
    if "scanimage.SI" in description[-256:]:
        return "scanimage"
    if bool(pages.has(_PRIVATE)[page]) and pages.text(page, _PRIVATE).startswith("<Argos"):
        return "avs"
    if pages.has(_EER)[page] and _eer(pages.tag(page, _EER)):
        return "eer"
    return ""


def _eer(value: object) -> bool:
    text = value if isinstance(value, bytes) else str(value).encode()
    return text.startswith(b"<metadata>")


def read_images(
    pages: Pages, source: Source, siblings: RelatedTIFFs, report: ScanReport, what: str
) -> tuple[Pages, list[Image]] | None:
    """Return the images of a vendor's file, or None if tifffile makes nothing of it.

    Parameters
    ----------
    siblings : RelatedTIFFs
        Opens the other files of a series.
    report : ScanReport
        Gets a warning for what is left to its pages.
    what : str
        As `vendor` says.

    Returns
    -------
    Pages
        Of all files of the series.
    """
    if what == "scanimage":
        return pages, _scanimage(pages)
    try:
        import tifffile
    except ImportError:
        report.warn(f"the layout of a {what} file is known to tifffile, which is not installed")
        return None
    log = logging.getLogger("tifffile")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    file: Any = source.path
    if file is None:
        file = io.BufferedReader(source.open(), 1 << 16)
    try:
        with tifffile.TiffFile(file) as tif:
            series = [one for one in tif.series if one.kind in _KINDS]
            if not series:
                return None
            joined = _Files(pages, source, siblings, report)
            images = [_image(one, joined, source.size, report) for one in series]
            known = [image for image in images if image is not None]
            if what == "lsm" and known:
                known[0] = _sized(pages, known[0])
            return joined.pages, known
    except Exception as error:  # noqa: BLE001 - whatever tifffile does costs the layout, not the file
        told = " ".join(f"{type(error).__name__}: {error}".split())
        report.warn(f"tifffile does not lay out this {what} file ({told}); pages are taken as such")
        return None


def _sized(pages: Pages, image: Image) -> Image:
    """Return the image of an LSM file with the sizes of its voxels, which it has in metres."""
    header = pages.tag(int(pages.main[0]), _LSM)
    if not isinstance(header, bytes) or len(header) < 120:
        return image
    sizes = dict(zip("xyz", struct.unpack_from("<3d", header, 40), strict=True))
    (interval,) = struct.unpack_from("<d", header, 112)

    def sized(axis: Axis) -> Axis:
        size, unit = sizes.get(axis.name, 0.0) * 1e6, "micrometer"
        if axis.name == "t":
            size, unit = interval, "second"
        return axis._replace(scale=size, unit=unit) if 0 < size < math.inf else axis

    y, x = image.pixels
    return replace(
        image, axes=tuple(sized(axis) for axis in image.axes), pixels=(sized(y), sized(x))
    )


def _scanimage(pages: Pages) -> list[Image]:
    """Return the image of a ScanImage file: slices of frames of channels, as the software says.

    tifffile is not asked: it leaves out last pages that are shorter than the others.
    """
    chain = pages.main[pages.kind[pages.main] == pages.kind[pages.main[0]]]
    text = pages.text(int(pages.main[0]), _SOFTWARE)
    saved = re.search(r"^SI\.hChannels\.channelSave = (.*)$", text, re.MULTILINE)
    frames = re.search(r"^SI\.hStackManager\.framesPerSlice = (\d+)\s*$", text, re.MULTILINE)
    extents = None
    if saved is not None:
        channels = len(re.findall(r"\d+", saved[1]))
        each = int(frames[1]) if frames is not None else chain.size // max(channels, 1)
        slices = chain.size // max(each * channels, 1)
        if slices * each * channels == chain.size:
            extents = (slices, each, channels)
    if extents is None:
        axes: tuple[Axis, ...] = (Axis("page", chain.size),)
        return [Image("scanimage", axes, (Level(chain),))]
    axes = tuple(Axis(name, size) for name, size in zip("ztc", extents, strict=True))
    return [Image("scanimage", axes, (Level(chain.reshape(extents)),))]


@dataclass
class _Files:
    """The files of a series, joined as they are met."""

    pages: Pages
    source: Source
    siblings: RelatedTIFFs
    report: ScanReport

    def __post_init__(self) -> None:
        self._names = {os.path.basename(self.source.url): 0}
        self._parts = [self.pages]

    def number(self, page: Any) -> int:
        """Return the number of the file that a page of tifffile's is in."""
        name = page.parent.filehandle.name
        if len(self._names) == 1 and (page.parent.filehandle.path == self.source.path or not name):
            return 0
        if name not in self._names and self.source.path is None:
            return 0
        if name not in self._names:
            found = self.siblings.pages(name)
            self._names[name] = len(self._parts)
            self._parts.append(found)
            self.pages = type(found).join(self._parts)
            self.report.sources[found.urls[0]] = found.sources[0].fingerprint
        return self._names[name]

    def numbers(self, series_pages: list[Any]) -> NDArray[np.int64]:
        """Return the pages of ours for those of a series; -1 where there is none."""
        files = np.array([-1 if one is None else self.number(one) for one in series_pages])
        # Frames that tifffile makes up from an index have no directory, but data.
        made_up = any(one is not None and one.offset == 0 for one in series_pages)
        wanted = np.array(
            [
                -1 if one is None else one.dataoffsets[0] if made_up else one.offset
                for one in series_pages
            ],
            np.int64,
        )
        offsets = self.pages.column(_STRIPS) if made_up else self.pages.offset
        found = np.full(files.size, -1, np.int64)
        for file in np.unique(files[files >= 0]).tolist():
            mine = np.flatnonzero(self.pages.file == file)
            order = mine[np.argsort(offsets[mine], kind="stable")]
            at = np.flatnonzero(files == file)
            where = np.minimum(np.searchsorted(offsets[order], wanted[at]), order.size - 1)
            same = offsets[order[where]] == wanted[at]
            found[at[same]] = order[where[same]]
            if not bool(same.all()):
                raise ValueError("tifffile finds pages that are not in the chain")
        return found


def _image(series: Any, files: _Files, size: int, report: ScanReport) -> Image | None:
    axes = _leading(series)
    if axes is None:
        report.warn(f"the {series.kind} series {series.name!r} is made of parts of pages")
        return None
    extents = tuple(axis.size for axis in axes)
    planes = math.prod(extents)
    attributes: dict[str, Any] = {}
    if series.transform is not None:
        report.warn(
            f"the {series.kind} file stores values that are to be transformed; they are kept as "
            "stored"
        )
        attributes["stored_values"] = "to be transformed as the format describes"
    held = list(series._pages)  # noqa: SLF001 - what is there, without frames made up on the fly
    if len(held) == 1 and planes > 1:
        if series.dataoffset is None or series.dataoffset + series.nbytes > size:
            report.warn(f"the {series.kind} series {series.name!r} is not stored plainly")
            return None
        levels = [Level(np.arange(planes, dtype=np.int64).reshape(extents))]
        return Image(series.kind, axes, tuple(levels), name=series.name, stacked=True)
    levels = []
    for level in series.levels:
        inner = _leading(level)
        numbers = files.numbers(list(level._pages))  # noqa: SLF001 - as above
        if inner is None or tuple(axis.size for axis in inner) != extents or numbers.size != planes:
            report.warn(f"a level of the {series.kind} series {series.name!r} has other axes")
            break
        levels.append(Level(numbers.reshape(extents)))
    if not levels:
        return None
    role = series.name.lower() if series.name.lower() in _ROLES else ""
    return Image(
        series.kind, axes, tuple(levels), name=series.name, role=role, attributes=attributes
    )


def _leading(series: Any) -> tuple[Axis, ...] | None:
    """Return the axes of a series that count pages; None if none do."""
    shape, letters = shape_and_axes(series)
    page = [extent for extent in series.keyframe.shape if extent != 1]
    for at in range(len(shape) + 1):
        rest = [extent for extent in shape[at:] if extent != 1]
        if rest == page and {"X", "Y"} <= set(letters[at:]) and not {"X", "Y"} & set(letters[:at]):
            names = axis_names(letters[:at])
            return tuple(Axis(name, size) for name, size in zip(names, shape[:at], strict=True))
    return None
