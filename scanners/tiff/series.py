"""The hierarchy of a TIFF file: all images, levels, masks and thumbnails, with their meaning.

::

    one image, one level    image, coordinates, tiff/
    one image, levels       0/image, 1/image, ..., tiff/        multiscales at the root
    several images          0/..., 1/..., OME/                  bioformats2raw at the root
    images that go along    associated/label/image, associated/macro/image, ...
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, LimitError
from refmaker.model import Group
from refmaker.model.report import Outcome
from refmaker.scanners.tiff import gdal, imagej, ngff, ome, shaped, slides, vendors
from refmaker.scanners.tiff.generic import images_of
from refmaker.scanners.tiff.geo import is_geo, read_georeference
from refmaker.scanners.tiff.hierarchy import Builder
from refmaker.scanners.tiff.related_files import RelatedTIFFs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.io.source import Source
    from refmaker.model import Array
    from refmaker.model.report import ScanReport
    from refmaker.scanners.tiff.image_model import Image
    from refmaker.scanners.tiff.pages import Pages
    from refmaker.scanning.options import ScanOptions

__all__ = ["tree"]

_TEXT = 1 << 22
"""Characters of OME-XML up to which it is kept as it is."""


def tree(
    pages: Pages | None,
    source: Source,
    options: ScanOptions,
    report: ScanReport,
    settings: Mapping[str, str],
) -> tuple[Group, Pages]:
    """Return everything in a TIFF file as one hierarchy.

    Parameters
    ----------
    pages : Pages, optional
        Of the file; None of a companion file, which has none.
    source : Source
        The file.
    options : ScanOptions
        How to scan.
    report : ScanReport
        Gets a row for every array and group.
    settings : mapping of str to str
        ``layout`` (auto, ngff, native), ``ngff`` (0.4, 0.5), ``missing-files`` (error, fill),
        ``damaged-pages`` (refuse, absent), ``geozarr`` (no, yes).

    Returns
    -------
    Group
        The root.
    Pages
        Of the file and of the others that belong to it.

    Raises
    ------
    SourceNotFoundError
        If another file of the series is not there, and is not to be filled.
    """
    with _siblings(source, options) as siblings:
        if pages is None:
            text = siblings.whole_text(source)
            pages = ome.companion_pages(text, siblings)
            pages, images, text = _ome_images(
                pages, text, siblings, report, settings, companion=True
            )
            images = _completed(pages, images, report)
        else:
            pages, images, text = _images(pages, source, siblings, report, settings)
        builder = Builder(
            pages,
            options,
            report,
            settings.get("tiff-axes", "auto"),
            settings.get("ngff", "0.4"),
            absent=settings.get("damaged-pages") == "absent",
            geozarr=settings.get("geozarr") == "yes",
        )
        root = _root(builder, images, text)
        for other in siblings.opened.values():
            report.sources.setdefault(other.url, other.fingerprint)
        report.missing.extend(siblings.missing)
    return root, pages


def _siblings(source: Source, options: ScanOptions) -> RelatedTIFFs:
    from refmaker.scanners.tiff.directory import read_directory
    from refmaker.scanners.tiff.pages import Pages

    def read(other: Source) -> Pages:
        return Pages([read_directory(other)])

    return RelatedTIFFs(source, read, anywhere=options.follow_external)


def _images(
    pages: Pages,
    source: Source,
    siblings: RelatedTIFFs,
    report: ScanReport,
    settings: Mapping[str, str],
) -> tuple[Pages, list[Image], str]:
    """Return all pages, the images they make, and the OME-XML if there is any."""
    description = pages.text(int(pages.main[0]))
    found: list[Image] | None = None
    text = ""
    kind = vendors.vendor(pages, description)
    if shaped.is_shaped(description):
        found = shaped.read_images(pages)
    elif kind:
        laid_out = vendors.read_images(pages, source, siblings, report, kind)
        if laid_out is not None:
            pages, found = laid_out
    if not found and ome.is_ome(description):
        try:
            pages, found, text = _ome_images(pages, description, siblings, report, settings)
        except (FormatError, LimitError) as error:
            report.warn(f"/page/0: {error.message}")
    elif not found and imagej.is_imagej(description):
        one = imagej.read_image(pages, source.size)
        found = None if one is None else [one]
    elif not found and slides.is_aperio(pages, description):
        found = slides.read_aperio(pages, description)
    elif not found and slides.is_philips(pages, description):
        found = slides.read_philips(pages, description, report)
    return pages, _completed(pages, list(found or []), report), text


def _ome_images(
    pages: Pages,
    text: str,
    siblings: RelatedTIFFs,
    report: ScanReport,
    settings: Mapping[str, str],
    *,
    companion: bool = False,
) -> tuple[Pages, list[Image], str]:
    return ome.read_images(
        pages,
        text,
        siblings,
        report,
        fill=settings.get("missing-files") == "fill",
        absent=settings.get("damaged-pages") == "absent",
        companion=companion,
    )


def _completed(pages: Pages, images: list[Image], report: ScanReport) -> list[Image]:
    """Return images and those of the pages that they leave out, with what their tags say."""
    rest = _unused(pages, images)
    leftover = images_of(pages, rest)
    if images:
        # What the description leaves out does not go with the images that it lists.
        leftover = [replace(one, role=one.role or "other") for one in leftover]
    images += leftover
    return [_located(pages, image, report) for image in images]


def _unused(pages: Pages, images: list[Image]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the pages of the scanned file that no image has."""
    used = np.zeros(len(pages), bool)
    for image in images:
        if image.stacked:
            used[0] = True
            continue
        for level in image.levels:
            used[level.numbers[level.numbers >= 0]] = True
            if level.mask >= 0:
                used[level.mask] = True
    return np.flatnonzero(~used & (pages.file == 0))


def _located(pages: Pages, image: Image, report: ScanReport) -> Image:
    """Return an image with what its first page says of place, bands and missing data."""
    page = image.first
    if page < 0 or pages.problem(page) is not None:
        return image
    metadata = gdal.read_metadata(pages, page, report)
    fill = gdal.nodata(pages, page, report)
    geo = read_georeference(pages, page, report) if is_geo(pages, page) else None
    attributes = {**metadata.attributes(int(pages.samples[page])), **image.attributes}
    if geo is not None:
        attributes.setdefault("AREA_OR_POINT", "Point" if geo.point else "Area")
    flavour = "geo" if geo is not None and image.flavour == "generic" else image.flavour
    return replace(image, geo=geo, fill_value=fill, attributes=attributes, flavour=flavour)


def _root(builder: Builder, images: list[Image], text: str) -> Group:
    report = builder.report
    report.add("/", Outcome.GROUP)
    main = [image for image in images if not image.role]
    others = [image for image in images if image.role]
    if not main:
        main, others = images, []
    members: dict[str, Array | Group] = {}
    attributes: dict[str, Any] = {}
    if len(main) == 1:
        members, attributes, _ = builder.image(main[0], "", flat=not others)
    else:
        described = []
        for at, image in enumerate(main):
            inner, told, known = builder.image(image, str(at), flat=True)
            if inner:
                report.add(f"/{at}", Outcome.GROUP)
                members[str(at)] = Group(inner, told)
            if known:
                described.append(str(at))
        if described:
            told_root, listed = ngff.series_attributes(described, builder.version)
            report.add("/OME", Outcome.GROUP)
            members["OME"] = Group({}, listed)
            attributes = dict(told_root)
    associated = _associated(builder, others)
    if associated:
        report.add("/associated", Outcome.GROUP)
        members["associated"] = Group(associated)
    if text:
        _keep_text(builder, members, text)
    return Group(members, attributes)


def _associated(builder: Builder, images: list[Image]) -> dict[str, Array | Group]:
    found: dict[str, Array | Group] = {}
    for image in images:
        name = image.role
        if name in found:
            name = f"{name}_{sum(one.partition('_')[0] == image.role for one in found) + 1}"
        inner, told, _ = builder.image(image, f"associated/{name}", flat=True)
        if inner:
            builder.report.add(f"/associated/{name}", Outcome.GROUP)
            found[name] = Group(inner, told)
    return found


def _keep_text(builder: Builder, members: dict[str, Array | Group], text: str) -> None:
    """Keep the OME-XML in the group OME."""
    if len(text) > _TEXT:
        reason = f"its {len(text)} characters are more than {_TEXT}; what it says is in use"
        builder.report.add("/OME@ome_xml", Outcome.METADATA, reason, "large")
        return
    group = members.get("OME")
    if not isinstance(group, Group):
        builder.report.add("/OME", Outcome.GROUP)
        group = Group()
    members["OME"] = Group(group.members, {**group.attributes, "ome_xml": text})
