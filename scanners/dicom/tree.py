"""Studies and series as groups: what many files come to.

A series of its own is the root group, so that ``xarray.open_dataset`` opens it as it is; several
lie at ``/study-1/series-1`` and so on, numbered in the order of the files. Groups are named after
what headers say only if that is asked for.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError, RefmakerError, UnsupportedError
from refmaker.model import Array, Group
from refmaker.model.report import Outcome
from refmaker.scanners.dicom.copies import distinct
from refmaker.scanners.dicom.deidentification import method_codes, privacy_notes
from refmaker.scanners.dicom.frames import decoded_alike
from refmaker.scanners.dicom.label_images import SeriesMembers, label_images
from refmaker.scanners.dicom.metadata import attribute_values
from refmaker.scanners.dicom.series import images
from refmaker.scanners.dicom.series_names import series_names
from refmaker.scanners.dicom.slides import is_slide, slide
from refmaker.scanners.dicom.sop_classes import sop_category
from refmaker.scanners.dicom.tags import SERIES_INSTANCE_UID, SOP_CLASS_UID, STUDY_INSTANCE_UID
from refmaker.scanners.dicom.volumes import volume
from refmaker.scanning.ngff_volumes import described_volumes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.model.report import ScanReport
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.header_templates import HeaderTemplate
    from refmaker.scanners.dicom.matrix import Tiling
    from refmaker.scanners.dicom.options import DICOMOptions
    from refmaker.scanners.dicom.series import Image

__all__ = ["Tree", "code_of", "plant", "short_names"]

_MODALITY, _SERIES_NUMBER = 0x00080060, 0x00200011
_SERIES = frozenset({STUDY_INSTANCE_UID, SERIES_INSTANCE_UID})
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

    header: Header
    members: dict[str, Array | Group] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Image | Tiling] = field(default_factory=dict)
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def report(self, path: str, report: ScanReport) -> None:
        """Pass the warnings on, now that it is known where the series lies."""
        for name, warning in self.warnings:
            where = f"{path}/{name}".rstrip("/")
            report.warn(f"{where}: {warning}" if where else warning)


def short_names(urls: Sequence[str]) -> dict[str, str]:
    """Return the paths of files below their common folder, each beginning with ``/``."""
    folders = list({url.rpartition("/")[0] for url in urls})
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


def plant(headers: Sequence[Header], choices: DICOMOptions, report: ScanReport) -> Tree:
    """Return the tree of all instances, and account for them.

    Parameters
    ----------
    headers : sequence of Header
        The instances.
    choices : DICOMOptions
        What users chose.
    report : ScanReport
        Gets a row for each array and group, and the warnings; what is refused is left to the
        caller.
    """
    studies = _studies(headers)
    tree = Tree(Group())
    branches: list[list[_Branch]] = []
    for series_of in studies.values():
        grown = [_series(group, choices, tree) for group in series_of.values()]
        # Series without an image take no number: without their files the tree is the same.
        kept = [branch for branch in grown if branch.members]
        branches += [kept] if kept else []
        for branch in grown:
            if not branch.members:
                branch.report("", report)
    attributes: dict[str, Any] = {"format": "dicom"}
    if choices.identifies:
        attributes["contains_phi"] = True
    if [len(kept) for kept in branches] == [1]:
        branch = branches[0][0]
        branch.report("", report)
        tree.group = Group(branch.members, {**branch.attributes, **attributes})
        tree.origin = branch.origin
        _account(tree.group, report)
        return tree
    members: dict[str, Group] = {}
    for i, kept in enumerate(branches, 1):
        below: dict[str, Group] = {}
        names = series_names([branch.header for branch in kept], choices.series_names)
        named = dict(zip(names, kept, strict=True))
        labels = label_images(
            {name: SeriesMembers(one.members, one.origin) for name, one in named.items()},
            choices.ngff,
        )
        for name, branch in named.items():
            path = f"study-{i}/{name}"
            if name in labels:
                branch.members["labels"] = labels[name].group
                branch.origin |= {f"labels/{k}": v for k, v in labels[name].origin.items()}
            below[name] = Group(branch.members, branch.attributes)
            branch.report(f"/{path}", report)
            tree.origin |= {f"{path}/{name}": image for name, image in branch.origin.items()}
        members[f"study-{i}"] = Group(below)
    tree.group = Group(members, attributes)
    _account(tree.group, report)
    return tree


def _studies(headers: Sequence[Header]) -> dict[bytes, dict[bytes, list[Header]]]:
    """Return the instances of each series of each study; one without a series is a series."""
    studies: dict[bytes, dict[bytes, list[Header]]] = {}
    together: dict[HeaderTemplate, list[Header]] = {}
    for number, header in enumerate(headers):
        form = header.form
        if form is not None and form in together:
            together[form].append(header)
            continue
        study = (header.raw(STUDY_INSTANCE_UID) or b"").strip(b" \0")
        series = (header.raw(SERIES_INSTANCE_UID) or b"").strip(b" \0")
        found = studies.setdefault(study, {}).setdefault(series or b"%d" % number, [])
        found.append(header)
        if form is not None and series and form.blanks.isdisjoint(_SERIES):
            together[form] = found
    return studies


def _account(group: Group, report: ScanReport) -> None:
    for path, node in group.walk():
        if isinstance(node, Group):
            report.add(f"/{path}", Outcome.GROUP)
        elif node.chunks.inlined:
            reason = "made of attributes of the headers"
            report.add(f"/{path}", Outcome.INLINED, reason, "header")
        else:
            report.add(f"/{path}", Outcome.REFERENCED)


def _series(group: Sequence[Header], choices: DICOMOptions, tree: Tree) -> _Branch:
    """Return what one series comes to; instances that are no part of it are refused."""
    branch = _Branch(group[0])
    pixels = []
    for header in group:
        for warning in header.warnings:
            branch.warnings.append(("", warning))
        if header.pixels is None:
            tree.refused.append((header, _no_image(header)))
        else:
            pixels.append(header)
    if not pixels:
        return branch

    def refuse(header: Header, error: RefmakerError) -> None:
        tree.refused.append((header, error))

    pixels, notes = distinct(pixels, refuse, choices.storage_options)
    branch.warnings += [("", note) for note in notes]
    slides = [header for header in pixels if is_slide(header)]
    others = [header for header in pixels if not is_slide(header)]
    if slides:
        found = slide(slides, choices, refuse)
        branch.members |= found.members
        branch.origin |= found.origin
        branch.attributes |= found.attributes
        branch.warnings += [("", warning) for warning in found.warnings]
    for image in images(others, refuse):
        _add(image, branch, choices, tree)
    if not slides:
        told, problems = described_volumes(branch.members, choices.ngff)
        branch.attributes |= told
        if choices.ngff not in ("0.4", "no"):
            branch.warnings += [("", f"not described as NGFF: {problem}") for problem in problems]
    _describe(pixels, branch, choices)
    return branch


def _no_image(header: Header) -> UnsupportedError:
    kind = sop_category(header.text(SOP_CLASS_UID))
    return UnsupportedError(f"no image: {kind}", code="not-an-image", url=header.url)


def _add(image: Image, branch: _Branch, choices: DICOMOptions, tree: Tree) -> None:
    """Add one image to a series; an instance that is damaged costs only itself."""
    waiting, retries = [image], _RETRIES
    while waiting:
        image = waiting.pop(0)
        number = sum(name.partition("_")[0] == "image" for name in branch.members)
        suffix = f"_{number}" if number else ""
        try:
            found = volume(image, choices, suffix)
        except RefmakerError as error:
            retries -= 1
            if retries:
                waiting = [*_without(image, error, choices, tree), *waiting]
                continue
            for header in {id(h): h for one in (image, *waiting) for h in one.headers}.values():
                damaged = FormatError("too many damaged instances", url=header.url)
                tree.refused.append((header, damaged))
            return
        branch.members |= found.members
        branch.origin[f"image{suffix}"] = found.image
        branch.warnings += [(f"image{suffix}", warning) for warning in found.warnings]


def _without(image: Image, error: RefmakerError, choices: DICOMOptions, tree: Tree) -> list[Image]:
    """Return an image without the instance that an error names, arranged anew."""

    def refuse(header: Header, cause: RefmakerError) -> None:
        tree.refused.append((header, cause))

    used = set(image.source[:, 0].tolist())
    headers = [header for number, header in enumerate(image.headers) if number in used]
    if error.url is None and len(headers) > 1:
        # It is no fault of any of them that they do not go together.
        apart = images(headers, refuse, join=False)
        if len(apart) > 1:
            return apart
        alike = decoded_alike(headers, choices.storage_options)
        if len(alike) > 1:
            return [image for part in alike for image in images(part, refuse)]
    guilty = [header for header in headers if header.url == error.url] or headers
    tree.refused += [(header, error) for header in guilty]
    left = [header for header in headers if header not in guilty]
    return images(left, refuse)


def _describe(pixels: Sequence[Header], branch: _Branch, choices: DICOMOptions) -> None:
    """Say of a series what it is, if all of it agrees and it is to be said."""
    if choices.selection.mode != "none":
        for tag, name in ((_MODALITY, "modality"), (_SERIES_NUMBER, "series_number")):
            if len({header.elements.get(tag) for header in pixels}) == 1:
                value = attribute_values(pixels[0], [tag]).get(tag)
                branch.attributes |= {} if value is None else {name: value}
        codes = method_codes(pixels)
        branch.attributes |= {"deidentification": codes} if codes else {}
    notes = privacy_notes(pixels, identifies=choices.identifies)
    branch.warnings += [("", note) for note in notes]
