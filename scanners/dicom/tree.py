"""Studies and series as groups: what many files come to.

A series of its own is the root group, so that ``xarray.open_dataset`` opens it as it is; several
lie at ``/study-1/series-1`` and so on, numbered in the order of the files. Groups of the tree
are never named after anything in a header.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError, RefmakerError, UnsupportedError
from refmaker.model import Array, Group
from refmaker.report import Outcome
from refmaker.scanners.dicom.kinds import kind_of
from refmaker.scanners.dicom.metadata import attribute_values
from refmaker.scanners.dicom.series import images
from refmaker.scanners.dicom.slides import is_slide, slide
from refmaker.scanners.dicom.tags import SERIES_INSTANCE_UID, SOP_CLASS_UID, STUDY_INSTANCE_UID
from refmaker.scanners.dicom.volumes import volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.report import ScanReport
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.matrix import Tiling
    from refmaker.scanners.dicom.series import Image
    from refmaker.scanners.dicom.volumes import Choices

__all__ = ["Tree", "code_of", "plant", "short_names"]

_MODALITY, _SERIES_NUMBER, _BURNED_IN = 0x00080060, 0x00200011, 0x00280301
_RETRIES = 64
"""Instances of one image that may turn out to be damaged before the image is given up."""


@dataclass(slots=True)
class Tree:
    """A reference set, and where the frames of its images come from.

    Parameters
    ----------
    group : Group
        The root.
    origin : dict of str to Image or Tiling
        By path of an array of pixels, the frames it is made of.
    refused : list of (Header, RefmakerError)
        Instances that are not in it, and why.
    """

    group: Group
    origin: dict[str, Image | Tiling] = field(default_factory=dict)
    refused: list[tuple[Header, RefmakerError]] = field(default_factory=list)


@dataclass(slots=True)
class _Branch:
    """One series under construction."""

    members: dict[str, Array | Group] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Image | Tiling] = field(default_factory=dict)


def short_names(urls: Sequence[str]) -> dict[str, str]:
    """Return the paths of files below their common folder, each beginning with ``/``."""
    folders = [posixpath.dirname(url) for url in urls]
    try:
        common = posixpath.commonpath(folders) if folders else ""
    except ValueError:
        common = ""
    return {
        url: "/" + url.removeprefix(common).lstrip("/") if common else "/" + url.lstrip("/")
        for url in urls
    }


def code_of(error: RefmakerError) -> str:
    """Return the short form of why an instance was left out."""
    if isinstance(error, UnsupportedError):
        return error.code
    return "damaged" if isinstance(error, FormatError) else "unreadable"


def plant(headers: Sequence[Header], choices: Choices, report: ScanReport) -> Tree:
    """Return the tree of all instances, and account for them.

    Parameters
    ----------
    headers : sequence of Header
        The instances.
    choices : Choices
        What users chose.
    report : ScanReport
        Gets a row for each array and group, and the warnings; what is refused is left to the
        caller.
    """
    studies: dict[str, dict[str, list[Header]]] = {}
    for number, header in enumerate(headers):
        study = header.text(STUDY_INSTANCE_UID)
        series = header.text(SERIES_INSTANCE_UID) or f"file {number}"
        studies.setdefault(study, {}).setdefault(series, []).append(header)
    tree = Tree(Group())
    branches: dict[tuple[int, int], _Branch] = {}
    for i, series_of in enumerate(studies.values(), 1):
        for j, group in enumerate(series_of.values(), 1):
            branch = _series(group, choices, report, tree, f"/study-{i}/series-{j}")
            if branch.members:
                branches[i, j] = branch
    attributes: dict[str, Any] = {"format": "dicom"}
    if choices.selection.identifies or choices.uids == "keep":
        attributes["contains_phi"] = True
    if len(branches) == 1:
        (branch,) = branches.values()
        tree.group = Group(branch.members, {**branch.attributes, **attributes})
        tree.origin = branch.origin
        _account(tree.group, report)
        return tree
    members: dict[str, dict[str, Group]] = {}
    for (i, j), branch in branches.items():
        below = members.setdefault(f"study-{i}", {})
        below[f"series-{j}"] = Group(branch.members, branch.attributes)
        for path, image in branch.origin.items():
            tree.origin[f"study-{i}/series-{j}/{path}"] = image
    tree.group = Group({name: Group(inner) for name, inner in members.items()}, attributes)
    _account(tree.group, report)
    return tree


def _account(group: Group, report: ScanReport) -> None:
    for path, node in group.walk():
        if isinstance(node, Group):
            report.add(f"/{path}", Outcome.GROUP)
        elif node.chunks.inlined:
            reason = "made of attributes of the headers"
            report.add(f"/{path}", Outcome.INLINED, reason, "header")
        else:
            report.add(f"/{path}", Outcome.REFERENCED)


def _series(
    group: Sequence[Header], choices: Choices, report: ScanReport, tree: Tree, path: str
) -> _Branch:
    """Return what one series comes to; instances that are no part of it are refused."""
    branch = _Branch()
    pixels = []
    for header in group:
        for warning in header.warnings:
            report.warn(f"{path}: {warning}")
        if header.pixels is None:
            tree.refused.append((header, _no_image(header)))
        else:
            pixels.append(header)
    if not pixels:
        return branch

    def refuse(header: Header, error: RefmakerError) -> None:
        tree.refused.append((header, error))

    slides = [header for header in pixels if is_slide(header)]
    others = [header for header in pixels if not is_slide(header)]
    if slides:
        found = slide(slides, choices, refuse)
        branch.members |= found.members
        branch.origin |= found.origin
        branch.attributes |= found.attributes
        for warning in found.warnings:
            report.warn(f"{path}: {warning}")
    for image in images(others, refuse):
        _add(image, branch, choices, report, tree, path)
    _describe(pixels, branch, choices, report, path)
    return branch


def _no_image(header: Header) -> UnsupportedError:
    kind = kind_of(header.text(SOP_CLASS_UID))
    return UnsupportedError(f"no image: {kind}", code="not-an-image", url=header.url)


def _add(
    image: Image,
    branch: _Branch,
    choices: Choices,
    report: ScanReport,
    tree: Tree,
    path: str,
) -> None:
    """Add one image to a series; an instance that is damaged costs only itself."""
    number = sum(name.partition("_")[0] == "image" for name in branch.members)
    suffix = f"_{number}" if number else ""
    for _ in range(_RETRIES):
        try:
            found = volume(image, choices, suffix)
        except RefmakerError as error:
            smaller = _without(image, error, tree)
            if not smaller:
                return
            image, *rest = smaller
            for other in rest:
                _add(other, branch, choices, report, tree, path)
            continue
        branch.members |= found.members
        branch.origin[f"image{suffix}"] = found.image
        for warning in found.warnings:
            report.warn(f"{path}/image{suffix}: {warning}")
        return
    for header in {id(h): h for h in image.headers}.values():
        tree.refused.append((header, FormatError("too many damaged instances", url=header.url)))


def _without(image: Image, error: RefmakerError, tree: Tree) -> list[Image]:
    """Return an image without the instance that an error names, arranged anew."""
    used = set(image.source[:, 0].tolist())
    headers = [header for number, header in enumerate(image.headers) if number in used]
    guilty = [header for header in headers if header.url == error.url] or headers
    tree.refused += [(header, error) for header in guilty]
    left = [header for header in headers if header not in guilty]
    return images(left, lambda header, cause: tree.refused.append((header, cause)))


def _describe(
    pixels: Sequence[Header],
    branch: _Branch,
    choices: Choices,
    report: ScanReport,
    path: str,
) -> None:
    """Say of a series what it is, if all of it agrees and it is to be said."""
    if choices.selection.mode != "none":
        for tag, name in ((_MODALITY, "modality"), (_SERIES_NUMBER, "series_number")):
            values = {str(attribute_values(header, [tag]).get(tag)) for header in pixels}
            if len(values) == 1:
                value = attribute_values(pixels[0], [tag]).get(tag)
                branch.attributes |= {} if value is None else {name: value}
    burned = sum(header.text(_BURNED_IN).upper() == "YES" for header in pixels)
    if burned:
        report.warn(f"{path}: {burned} instances say that text is burned into their pixels")
