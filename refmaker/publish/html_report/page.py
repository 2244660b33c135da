"""A reference set as one page that needs nothing else: no script, no request to anywhere."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from refmaker.errors import MissingDependencyError
from refmaker.model import Group
from refmaker.model.amounts import human_size
from refmaker.publish.description.content import describe
from refmaker.publish.html_report.access import accesses
from refmaker.publish.html_report.byte_map import byte_maps
from refmaker.publish.html_report.figures import (
    PALETTE,
    byte_map_figure,
    histogram_figure,
    look_figure,
)
from refmaker.publish.html_report.quick_look import look_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zarr.abc.store import Store

    from refmaker.model import Array
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["page"]

_ARRAYS = 60
"""Arrays that are drawn; all are in the tree."""
_FILES = 50
_LABEL = 40


def page(refs: ReferenceSet, store: Store | None, *, title: str) -> str:
    """Return the page.

    Parameters
    ----------
    store : zarr.abc.store.Store or None
        The same, open, for quick looks at the values; without it there are none.

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
    content = describe(refs, title)
    arrays = sorted(refs.group.arrays(), key=lambda item: -item[1].nbytes)
    colours = {path: PALETTE[n % len(PALETTE)] for n, (path, _) in enumerate(arrays)}
    entries = {entry["path"]: entry for entry in content["arrays"]}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters.update(size=human_size, share=_share)
    template = environment.from_string(files(__package__).joinpath("page.html").read_text("utf-8"))
    shown = arrays[:_ARRAYS]
    return template.render(
        title=title,
        version=version("refmaker"),
        content=content,
        numbers=_numbers(content),
        root=_tree(refs.group),
        files=content["targets"][:_FILES],
        more_files=max(0, len(content["targets"]) - _FILES),
        maps=[(found, _safe(byte_map_figure(found, colours))) for found in byte_maps(refs)],
        colours=colours,
        arrays=[_array(path, array, entries[path], store) for path, array in shown],
        more_arrays=len(arrays) - len(shown),
    )


def _share(part: float) -> str:
    return f"{100 * part:.0f} %" if part >= 0.1 else f"{100 * part:.2g} %"


def _safe(svg: str) -> Any:
    """Mark a figure as made here; its texts were escaped when it was."""
    from markupsafe import Markup

    return Markup(svg)  # noqa: S704 - see above


def _numbers(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    chunks = sum(entry["chunks"]["total"] for entry in content["arrays"])
    found = [
        (f"{len(content['arrays']):,}", "arrays"),
        (f"{chunks:,}", "chunks"),
        (f"{len(content['targets']):,}", "files"),
        (human_size(content["nbytes"]), "of values"),
        (human_size(content["stored"]), "stored"),
    ]
    if content["stored"]:
        found.append((f"{content['nbytes'] / content['stored']:.2g} : 1", "compression"))
    return found


def _tree(group: Group) -> dict[str, Any]:
    node: dict[str, Any] = {"groups": {}, "arrays": {}}
    for name, member in group.members.items():
        if isinstance(member, Group):
            node["groups"][name] = _tree(member)
        else:
            node["arrays"][name] = {"extents": _extents(member), "dtype": str(member.dtype)}
    return node


def _extents(array: Array) -> str:
    names = array.dimension_names or ("",) * len(array.shape)
    pairs = zip(names, array.shape, strict=True)
    return ", ".join(f"{name}: {n:,}" if name else f"{n:,}" for name, n in pairs) or "scalar"


def _array(
    path: str, array: Array, entry: Mapping[str, Any], store: Store | None
) -> dict[str, Any]:
    counts = entry["chunks"]
    kinds = [f"{counts[kind]:,} {kind}" for kind in ("referenced", "inlined", "absent")]
    parts = [text for text in kinds if not text.startswith("0 ")]
    lengths = array.chunks.length
    units = str(array.attributes.get("units", ""))
    found = {
        **entry,
        "extents": _extents(array),
        "dtype": str(array.dtype),
        "chunk_text": " x ".join(map(_thousands, entry["chunk_extents"])) or "one",
        "counts": ", ".join(parts) or "none",
        "accesses": accesses(entry),
        "units": units,
        "long_name": str(array.attributes.get("long_name", "")),
        "histogram": _safe(histogram_figure(lengths)) if lengths.size > 1 else "",
        "look": "",
        "where": "",
        "trouble": "",
    }
    if store is not None:
        found.update(_look(store, path, array, units))
    return found


def _look(store: Store, path: str, array: Array, units: str) -> dict[str, Any]:
    name = path.rpartition("/")[2]
    label = f"{name} [{units}]" if units else name
    try:
        look = look_at(store, path, array)
    except Exception as error:  # noqa: BLE001 - codecs, files and networks; one never costs the page
        cause = error.__cause__ or error
        return {"trouble": " ".join(f"{type(cause).__name__}: {cause}".split())}
    if look is None:
        return {}
    # A single dollar would begin a formula.
    text = label[:_LABEL].replace("$", r"\$")
    return {"look": _safe(look_figure(look, text)), "where": look.where}


def _thousands(extent: str) -> str:
    return f"{int(extent):,}" if extent.isdigit() else extent
