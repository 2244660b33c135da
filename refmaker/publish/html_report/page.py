"""A reference set as one page that needs nothing else: no script, no request to anywhere."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from refmaker.errors import MissingDependencyError
from refmaker.model.amounts import counted, human_size
from refmaker.publish.description.content import describe
from refmaker.publish.html_report.bars import bar
from refmaker.publish.html_report.byte_map import byte_maps
from refmaker.publish.html_report.gallery import gallery
from refmaker.publish.html_report.structure import array_details, attributes_of, costs, tree
from refmaker.publish.html_report.tables import (
    checks_table,
    coordinates_table,
    summary_table,
    volume_facts,
)
from refmaker.publish.pictures import subjects
from refmaker.publish.pictures.canvas import PALETTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refmaker.publish.pictures import Source
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["page"]

_ARRAYS = 60
"""Arrays that are told in detail; more are in the tree."""
_COSTS = 6
_FILES = 50
_NOTES = 40
_OWNERS = 12
_WORTH = 1.05
"""Compression that is told."""
_LONG = 400
"""Characters of any text that comes from a set."""


def page(
    refs: ReferenceSet,
    source: Source | None,
    *,
    title: str,
    checks: Iterable[Mapping[str, Any]] | None = None,
) -> str:
    """Return the page.

    Parameters
    ----------
    refs : ReferenceSet
        The set.
    source : Source, optional
        The same, for pictures, with what may be read for them; without it there are none.
    title : str
        What it is called.
    checks : iterable of mapping, optional
        What comparing its arrays with the files came to, as ``verify --json`` prints it.

    Returns
    -------
    str
        HTML of less than 2 MB, whatever is in the set.

    Raises
    ------
    MissingDependencyError
        If jinja2 or matplotlib is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError(
            "a page needs jinja2", hint="pip install jinja2, or 'refmaker[report]'"
        ) from error
    title = title[:_LONG]
    content = describe(refs, title)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=_bounded,
    )  # fmt: skip
    environment.filters.update(size=human_size, share=_share, count="{:,}".format, counted=counted)
    here = files(__package__)
    template = environment.from_string(here.joinpath("page.html").read_text("utf-8"))
    shown = subjects(refs)
    towards = volume_facts(content["volumes"])
    cards = [] if source is None else gallery(shown, source, towards)
    return template.render(
        title=title,
        version=version("refmaker"),
        style=_safe(here.joinpath("page.css").read_text("utf-8")),
        content=content,
        numbers=_numbers(content),
        opener=_opener(content),
        document=_document(refs) or title,
        cards=[(card, _safe(card.figure)) for card in cards],
        more_cards=len(shown) - len(cards) if cards else 0,
        summary=summary_table(content["summary"]),
        coordinates=coordinates_table(content["spans"]),
        checks=None if checks is None else checks_table(checks),
        notes=_notes(content),
        costs=costs(refs.group, shown, _COSTS),
        **_structure(refs, content),
        **_files(refs, content),
    )


def _structure(refs: ReferenceSet, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tree, and what is told of each array."""
    arrays = sorted(refs.group.arrays(), key=lambda item: -item[1].nbytes)
    entries = {entry["path"]: entry for entry in content["arrays"]}
    anchors = {path: f"array-{number}" for number, (path, _) in enumerate(arrays[:_ARRAYS])}
    lines, more = tree(refs.group, anchors)
    return {
        "lines": lines,
        "more_lines": more,
        "attributes": attributes_of(refs.group),
        "anchors": anchors,
        "arrays": [array_details(path, array, entries[path]) for path, array in arrays[:_ARRAYS]],
        "more_arrays": max(0, len(arrays) - _ARRAYS),
    }


def _files(refs: ReferenceSet, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files, and who owns their bytes."""
    maps, kinds = byte_maps(refs)
    owners = list(dict.fromkeys(path for found in maps for path in found.owners))
    colours = {path: PALETTE[number % len(PALETTE)] for number, path in enumerate(owners)}
    return {
        "files": sorted(content["targets"], key=lambda target: -target["bytes"])[:_FILES],
        "more_files": max(0, len(content["targets"]) - _FILES),
        "maps": [(found, _safe(bar(found, colours)), found.owners[:_OWNERS]) for found in maps],
        "more_maps": kinds - len(maps),
        "colours": colours,
    }


def _notes(content: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what to know before reading: what is missing, warnings, advice."""
    rows = [
        *(
            ("missing", f"{row['path']}: {row['reason']}", row["code"])
            for row in content["skipped"]
        ),
        *(("warning", text, "") for text in content["warnings"]),
        *(("advice", text, "") for text in _alike(content["advice"])),
    ]
    more = len(rows) - _NOTES
    return [*rows[:_NOTES], ("more", f"and {more:,} more", "")] if more > 0 else rows


def _alike(texts: Iterable[str]) -> list[str]:
    """Return what is said of several arrays in the same words once, with the first of them."""
    found: dict[str, list[str]] = {}
    for text in texts:
        path, _, said = text.partition(": ")
        found.setdefault(said or text, []).append(path if said else "")
    return [
        said if not paths[0]
        else f"{paths[0]}: {said}" if len(paths) == 1
        else f"{paths[0]} and {len(paths) - 1:,} more: {said}"
        for said, paths in found.items()
    ]  # fmt: skip


def _bounded(value: Any) -> Any:
    """Cut texts of sets; what was made here is marked as such."""
    if isinstance(value, str) and len(value) > _LONG and not hasattr(value, "__html__"):
        return f"{value[:_LONG]}..."
    return value


def _opener(content: Mapping[str, Any]) -> str:
    """Return the function that opens a set as xarray does: a dataset, or a tree of them."""
    inside = any("/" not in entry["path"] for entry in content["arrays"])
    return "open_dataset" if inside and len(content["groups"]) == 1 else "open_datatree"


def _document(refs: ReferenceSet) -> str:
    """Return the name of the file that opens as the set: its document, or what was scanned."""
    place = refs.origins[0] if refs.origins else refs.report.url
    return place.partition("?")[0].rstrip("/").rpartition("/")[2][:_LONG]


def _share(part: float) -> str:
    return f"{100 * part:.0f} %" if part >= 0.1 else f"{100 * part:.2g} %"


def _safe(text: str) -> Any:
    """Mark text as made here; what it holds of the set was escaped when it was."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - see above


def _number(count: int, noun: str) -> tuple[str, str]:
    """Return a number and what it counts, apart, as they are shown."""
    amount, _, noun = counted(count, noun).partition(" ")
    return amount, noun


def _numbers(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    chunks = sum(entry["chunks"]["total"] for entry in content["arrays"])
    found = [
        _number(len(content["arrays"]), "array"),
        _number(chunks, "chunk"),
        _number(len(content["targets"]), "file"),
        (human_size(content["nbytes"]), "of values"),
        (human_size(content["stored"]), "stored"),
    ]
    packed = content["nbytes"] / max(content["stored"], 1)
    if packed >= _WORTH and content["stored"]:
        found.append((f"{packed:.2g} : 1", "compression"))
    return found
