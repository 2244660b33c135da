"""Entries of intake's first catalog format: ``sources``, with Jinja templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from refmaker.publish.catalog.entry import Entry

__all__ = ["new_document", "put", "sections"]


def new_document() -> dict[str, Any]:
    """Return a catalog without entries."""
    return {"metadata": {"version": 1}, "sources": {}}


def sections(document: Any) -> list[MutableMapping[str, Any]]:
    """Return the parts of a catalog that have a member for every entry."""
    return [document["sources"]]


def put(document: MutableMapping[str, Any], entry: Entry) -> None:
    """Put an entry into a catalog.

    Raises
    ------
    MetadataError
        If it has parameters, and stock readers are asked for.
    """
    if entry.stock and entry.parameters:
        raise MetadataError(
            "the Zarr driver of intake 1 passes over parameters without a word",
            path=entry.name,
            hint="choose the driver of refmaker, or a catalog of intake 2",
        )
    fo = entry.located("{{ CATALOG_DIR }}", "{{ ", " }}")
    written: dict[str, Any] = {"driver": "zarr" if entry.stock else "refmaker"}
    if entry.description:
        written["description"] = entry.description
    if entry.parameters:
        written["parameters"] = {
            parameter.name: {
                "description": parameter.description or "part of the file's name",
                "type": "str",
                "default": parameter.default,
            }
            for parameter in entry.parameters
        }
    written["args"] = _stock(entry, fo) if entry.stock else _own(entry, fo)
    if entry.metadata:
        written["metadata"] = dict(entry.metadata)
    document["sources"][entry.name] = written


def _stock(entry: Entry, fo: str) -> dict[str, Any]:
    options: dict[str, Any] = {"fo": fo, "remote_protocol": entry.remote_protocol}
    if entry.target_options:
        options["remote_options"] = entry.target_options
    args: dict[str, Any] = {"urlpath": "reference://", "consolidated": entry.consolidated}
    args |= {"chunks": {}, "storage_options": options}
    return args | ({"group": entry.group} if entry.group else {})


def _own(entry: Entry, fo: str) -> dict[str, Any]:
    args: dict[str, Any] = {"urlpath": fo}
    args |= {"storage_options": dict(entry.remote_options)} if entry.remote_options else {}
    return args | ({"group": entry.group} if entry.group else {})
