"""OME-TIFF: images, levels and files as the OME-XML in the first page lays them out.

Implements the OME-TIFF specification: ``TiffData`` blocks, files by UUID, ``BinaryOnly`` files
with a companion, and pyramids in SubIFDs.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refmaker.errors import FormatError, SourceNotFoundError
from refmaker.scanners.tiff.image_model import Image, Level
from refmaker.scanners.tiff.ome_xml import BinaryOnly, Document, read_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.model.report import ScanReport
    from refmaker.scanners.tiff.ome_xml import Data, Pixels
    from refmaker.scanners.tiff.pages import Pages
    from refmaker.scanners.tiff.related_files import RelatedTIFFs

__all__ = ["below", "companion_pages", "is_ome", "read_images"]

_ROOT = re.compile(rb"<(?:\w+:)?OME\b(?:[^>]*?\bUUID\s*=\s*[\"']([^\"'>]*)[\"'])?")
_START = 8192
"""Characters of a description in which its root element begins."""
_SPARSE = 4096
"""Planes for each that is there, at most: descriptions of acquisitions that were cut short are
believed, nonsense is not."""


def is_ome(description: str) -> bool:
    """Tell whether an image description is OME-XML."""
    return description[-16:].rstrip("\0 \r\n\t").endswith("OME>")


def companion_pages(text: str, siblings: RelatedTIFFs) -> Pages:
    """Return the pages of the first file that a companion file names and that is there.

    Raises
    ------
    SourceNotFoundError
        If none of them is there.
    FormatError
        If it names none.
    """
    document = read_document(text)
    blocks = [block for pixels in document.images for block in pixels.data]
    first: SourceNotFoundError | None = None
    for name in dict.fromkeys(block.name for block in blocks if block.name):
        try:
            return siblings.pages(name)
        except SourceNotFoundError as error:
            first = first or error
    raise first or FormatError("the OME-XML names no file that has its pixels")


def read_images(
    pages: Pages,
    text: str,
    siblings: RelatedTIFFs,
    report: ScanReport,
    *,
    fill: bool,
    absent: bool = False,
    companion: bool = False,
) -> tuple[Pages, list[Image], str]:
    """Return the images of an OME-TIFF file and its siblings.

    Parameters
    ----------
    text : str
        Its OME-XML, or that of its companion file.
    report : ScanReport
        Gets a warning for what the description says wrongly.
    fill : bool
        Whether planes in files that are not there become absent chunks.
    absent : bool
        Whether planes behind a directory that cannot be read do.
    companion : bool
        Whether the OME-XML is that of a companion file, which has no pixels itself.

    Returns
    -------
    list of Image
        As far as the pages are as described.

    Raises
    ------
    SourceNotFoundError
        If a file is not there, and `fill` is false.
    FormatError
        If the document is damaged.
    """
    document = read_document(text)
    own = posixpath.basename(pages.sources[0].url)
    here = _Place("" if companion else document.uuid, own, "")
    if document.binary_only is not None:
        text, document, home = _master(document.binary_only, siblings)
        here = here._replace(home=home)
    names = _files(document, here, report)
    joined, number = _open_all(pages, names, siblings, report, fill=fill)
    found = []
    for at, pixels in enumerate(document.images):
        image = _image(pixels, joined, names, number, report, f"OME image {at}", absent=absent)
        if image is not None:
            found.append(image)
    return joined, found, text


class _Place(NamedTuple):
    """Which file is scanned, and which has the description.

    `uuid` and `name` are the scanned file's; `home` is the name of the TIFF file that the
    description stands in, empty if it is the scanned one or none.
    """

    uuid: str
    name: str
    home: str


def _master(other: BinaryOnly, siblings: RelatedTIFFs) -> tuple[str, Document, str]:
    """Return the document that a file with pixels only names, and the TIFF file it stands in."""
    home = ""
    try:
        text = siblings.text(other.name)
        if not text.lstrip("\ufeff \r\n\t").startswith("<"):
            # The metadata file may be a TIFF file of the series.
            text, home = siblings.pages(other.name).text(0), other.name
    except SourceNotFoundError as error:
        raise SourceNotFoundError(
            f"its OME-XML is in {other.name!r}, which is not there",
            url=error.url,
            hint="put the files of the series into one folder",
        ) from error
    document = read_document(text)
    if document.binary_only is not None:
        raise FormatError(f"the OME-XML of {other.name!r} is in yet another file")
    return text, document, home


def _files(document: Document, here: _Place, report: ScanReport) -> dict[tuple[str, str], str]:
    """Return for each (UUID, name) that blocks of planes have which file it means.

    The empty name stands for the scanned file itself.
    """
    blocks = [block for pixels in document.images for block in pixels.data]
    names = {}
    for uuid, name in dict.fromkeys((block.uuid, block.name) for block in blocks):
        known = bool(here.uuid and uuid)
        of_home = bool(here.home and uuid) and uuid == document.uuid != here.uuid
        if not (uuid or name) or of_home:
            names[uuid, name] = here.home
        elif (known and uuid == here.uuid) or (not known and name.lower() == here.name.lower()):
            # Without an identity of its own, a file is known by its name.
            names[uuid, name] = ""
        else:
            names[uuid, name] = name or uuid
    others = {name for name in names.values() if name}
    alone = not here.home and document.uuid == here.uuid
    if alone and len(others) == 1 and "" not in names.values() and here.name not in others:
        report.warn(
            f"the OME-XML calls this file {next(iter(others))!r}; it names no other, so that all "
            "planes are taken to be in this one"
        )
        return dict.fromkeys(names, "")
    return names


def _open_all(
    pages: Pages,
    names: dict[tuple[str, str], str],
    siblings: RelatedTIFFs,
    report: ScanReport,
    *,
    fill: bool,
) -> tuple[Pages, dict[str, int]]:
    """Return the pages of all files as one, and each file's number there; -1 if it is missing."""
    number = {"": 0}
    files = [pages]
    for (uuid, _), name in names.items():
        if name in number:
            continue
        try:
            found = siblings.pages(name)
        except SourceNotFoundError as error:
            if not fill:
                raise SourceNotFoundError(
                    f"the series needs {name!r}, which is not there",
                    url=error.url,
                    hint="put its files into one folder, or fill with"
                    " `settings={'missing-files': 'fill'}`",
                ) from error
            report.warn(f"planes of {name!r}, which is not there, read as the fill value")
            number[name] = -1
            continue
        if found.sources[0].url == pages.sources[0].url:
            number[name] = 0
            continue
        told = _ROOT.search(found.text(0)[:_START].encode())
        if uuid and told is not None and told[1] is not None and told[1].decode() != uuid:
            report.warn(
                f"{name!r} calls itself {told[1].decode()!r}, the OME-XML calls it {uuid!r}"
            )
        number[name] = len(files)
        files.append(found)
        report.sources[found.sources[0].url] = found.sources[0].fingerprint
    return (type(pages).join(files) if len(files) > 1 else pages), number


def _image(
    pixels: Pixels,
    pages: Pages,
    names: dict[tuple[str, str], str],
    number: dict[str, int],
    report: ScanReport,
    what: str,
    *,
    absent: bool,
) -> Image | None:
    """Return one image, or None with a warning if its pages are not as described."""
    if pixels.problem:
        report.warn(f"{what} is not read as such: {pixels.problem}")
        return None
    files = pages.file[pages.main]
    chains = [pages.main[files == at] for at in range(len(pages.urls))]
    planes = int(np.prod([axis.size for axis in pixels.axes], dtype=np.int64))
    numbers = np.full(planes, -1, np.int64)
    told = 0
    for block in pixels.data:
        file = number[names[block.uuid, block.name]]
        if file >= 0:
            told += not _assign_pages(block, chains[file], numbers)
    if told:
        report.warn(f"{what}: {told} blocks of planes lie outside of the image or the file")
    present = numbers[numbers >= 0]
    if present.size == 0:
        report.warn(f"{what} has no pages" if pixels.data else f"{what} has no TiffData: no pixels")
        return None
    mismatch = _mismatch(pixels, pages, present, planes, absent=absent)
    if mismatch:
        report.warn(f"{what} is not read as such: {mismatch}")
        return None
    if present.size < planes and -1 not in number.values():
        missing = planes - present.size
        report.warn(f"{what}: {missing} of {planes} planes are not in the file")
    extents = tuple(axis.size for axis in pixels.axes)
    levels = [numbers, *below(pages, numbers)]
    return Image(
        "ome",
        pixels.axes,
        tuple(Level(level.reshape(extents)) for level in levels),
        name=pixels.name,
        pixels=pixels.pixels,
        channels=pixels.channels,
        positions=tuple(
            replace(one, values=one.values.reshape(extents)) for one in pixels.positions
        ),
        attributes=pixels.attributes,
    )


def _broken(pages: Pages) -> bool:
    """Tell whether the main chain of a file breaks off."""
    return any(
        trouble.path.count("/") == 2 for part in pages.directories for trouble in part.troubles
    )


def _assign_pages(block: Data, chain: NDArray[np.int64], numbers: NDArray[np.int64]) -> bool:
    """Enter the pages of one block; return whether all have a place."""
    if min(block.first, block.page, block.count) < 0:
        return False
    count = block.count or chain.size - block.page
    fits = min(count, numbers.size - block.first, chain.size - block.page)
    if fits > 0:
        numbers[block.first : block.first + fits] = chain[block.page : block.page + fits]
    return fits >= min(count, numbers.size - block.first)


def _mismatch(
    pixels: Pixels, pages: Pages, present: NDArray[np.int64], planes: int, *, absent: bool
) -> str:
    missing = planes - present.size
    if planes > max(_SPARSE, _SPARSE * present.size):
        return f"{planes} planes are described, {present.size} are there"
    if missing and _broken(pages) and not absent:
        return (
            f"{missing} of {planes} planes lie behind a directory that cannot be read; "
            "`settings={'damaged-pages': 'absent'}` does without them"
        )
    first = int(present[0])
    expected = (*pixels.shape, pixels.samples) if pixels.samples > 1 else pixels.shape
    if tuple(pages.shape(first)) != expected:
        return f"pages of {tuple(pages.shape(first))}, described as {expected}"
    kinds = pages.kind[present]
    other = np.flatnonzero(kinds != kinds[0])
    if other.size and kinds[0] >= 0:
        page = int(present[other[0]])
        return f"page {page} is stored differently from page {first}"
    return ""


def below(pages: Pages, numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the levels below some pages: the k-th SubIFD of each, as far as all have one.

    Parameters
    ----------
    numbers : ndarray of int64
        Those of the base level; -1 where there is none.

    Returns
    -------
    list of ndarray of int64
        Like `numbers`, for each level.
    """
    kids = np.flatnonzero(pages.parent >= 0)
    present = np.flatnonzero(numbers >= 0)
    if kids.size == 0 or present.size == 0:
        return []
    parents = pages.parent[kids]
    order = np.argsort(parents, kind="stable")
    kids, parents = kids[order], parents[order]
    first = np.searchsorted(parents, numbers[present], side="left")
    count = np.searchsorted(parents, numbers[present], side="right") - first
    levels = []
    for level in range(int(count.min())):
        found = np.full(numbers.shape, -1, np.int64)
        found[present] = kids[first + level]
        kinds: Sequence[int] = np.unique(pages.kind[found[present]]).tolist()
        if len(kinds) > 1:
            break
        levels.append(found)
    return levels
