"""Entries of intake's second catalog format: ``data`` and ``entries``, with ``{name}`` fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from refmaker.publish.catalog.entry import Entry, Parameter

__all__ = ["new_document", "put", "sections"]

_PARAMETER = "intake.readers.user_parameters:SimpleUserParameter"


def new_document() -> dict[str, Any]:
    """Return a catalog without entries."""
    empty: dict[str, Any] = {"version": 2, "data": {}, "entries": {}, "aliases": {}}
    return empty | {"metadata": {}, "user_parameters": {}}


def sections(document: Any) -> list[MutableMapping[str, Any]]:
    """Return the parts of a catalog that have a member for every entry."""
    return [document["entries"], document["aliases"]]


def put(document: MutableMapping[str, Any], entry: Entry) -> None:
    """Put an entry into a catalog.

    Raises
    ------
    MetadataError
        If one of its parameters is there for another entry, with other values.
    """
    for parameter in entry.parameters:
        _put_parameter(document, entry, parameter)
    fo = entry.located("{CATALOG_DIR}", "{", "}")
    token = f"{entry.name}_references"
    described = {"description": entry.description} if entry.description else {}
    document["data"][token] = {
        "datatype": "intake.readers.datatypes:Zarr"
        if entry.stock
        else "refmaker.publish.catalog.drivers:ReferenceSetData",
        "kwargs": _stock(entry, fo) if entry.stock else _own(entry, fo),
        "metadata": {},
        "user_parameters": {},
    }
    kwargs: dict[str, Any] = {"args": [f"{{data({token})}}"], "chunks": {}}
    kwargs |= {"consolidated": entry.consolidated} if entry.stock else {}
    kwargs |= {"group": entry.group} if entry.group else {}
    document["entries"][entry.name] = {
        "reader": "intake.readers.readers:XArrayDatasetReader"
        if entry.stock
        else "refmaker.publish.catalog.drivers:ReferenceSetToXarray",
        "output_instance": "xarray:Dataset",
        "kwargs": kwargs,
        "metadata": {**described, **entry.metadata},
        "user_parameters": {},
    }
    # Without an alias the catalog does not list it.
    document["aliases"][entry.name] = entry.name


def _put_parameter(document: MutableMapping[str, Any], entry: Entry, parameter: Parameter) -> None:
    """Put a parameter beside the entries: those of data descriptions intake does not restore."""
    written = {
        "cls": _PARAMETER,
        "default": parameter.default,
        "description": parameter.description,
        "dtype": "str",
    }
    known = document["user_parameters"].get(parameter.name)
    if known is not None and dict(known) != written:
        raise MetadataError(
            f"another entry has a parameter {parameter.name!r} with other values",
            path=entry.name,
            hint="name the field differently: they are shared by a whole catalog",
        )
    document["user_parameters"][parameter.name] = written


def _stock(entry: Entry, fo: str) -> dict[str, Any]:
    options: dict[str, Any] = {"fo": fo, "remote_protocol": entry.remote_protocol}
    if entry.target_options:
        options["remote_options"] = entry.target_options
    return {"url": "reference://", "storage_options": options}


def _own(entry: Entry, fo: str) -> dict[str, Any]:
    options = {"storage_options": dict(entry.remote_options)} if entry.remote_options else {}
    return {"url": fo, **options}
