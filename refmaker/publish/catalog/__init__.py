"""Catalogs of reference sets: intake's two formats, and STAC.

Entries are made of stock drivers wherever those can read a set, so that whoever opens them needs no
refmaker; with the driver of refmaker reading is safe, cached and takes few requests.

Examples
--------
>>> refmaker.scan("examples/air.nc").write("air.json")
>>> refmaker.catalog.add("catalog.yaml", "air.json").name
'air'
>>> import intake
>>> intake.open_catalog("catalog.yaml")["air"].read()["air"].shape
(124, 11, 21)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError
from refmaker.publish.catalog.checking import EntryCheck, check
from refmaker.publish.catalog.documents import dialect, read_catalog, write_catalog
from refmaker.publish.catalog.entry import Entry, Parameter, describe_entry
from refmaker.publish.catalog.stac import stac_collection, stac_item

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = [
    "Entry",
    "EntryCheck",
    "Listed",
    "Parameter",
    "add",
    "check",
    "entries",
    "stac_collection",
    "stac_item",
]


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry as a catalog's list has it.

    Parameters
    ----------
    name : str
        Of the entry.
    driver : str
        What opens it.
    description : str
        For people.
    written : mapping
        The entry as it is written.
    """

    name: str
    driver: str
    description: str
    written: Mapping[str, Any]


def add(  # noqa: PLR0913 - each is a choice of its own
    catalog: str | os.PathLike[str],
    refs: str | os.PathLike[str],
    *,
    name: str | None = None,
    description: str = "",
    group: str = "",
    driver: str | None = None,
    intake: int = 2,
    storage_options: Mapping[str, Any] | None = None,
    parameters: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Entry:
    """Put a reference set into a catalog, which is made if it is not there.

    Parameters
    ----------
    catalog : str or os.PathLike
        Path or URL of the YAML file. What else is in it, comments included, stays.
    refs : str or os.PathLike
        A reference set; or a pattern of several, such as ``refs/{date:%Y%m%d}.json``, whose
        fields become parameters of the entry. Below the catalog's folder it is named relative to
        that, so that both move together.
    name : str, optional
        Of the entry; by default from the set's name.
    description : str
        For people.
    group : str
        Path of the group that is opened; by default the root.
    driver : str, optional
        "stock" or "refmaker"; by default the former, where stock readers can read the set.
    intake : {2, 1}
        Format of a new catalog; one that is there keeps its own.
    storage_options : mapping, optional
        fsspec's options for the files that hold the data; they are written into the catalog.
    parameters : mapping of str to str, optional
        A default for every field of a pattern.
    overwrite : bool
        Replace an entry of the same name.

    Returns
    -------
    Entry
        What was written.

    Raises
    ------
    MetadataError
        If the catalog is none, an entry of that name is there, or something does not fit.
    SourceError
        If catalog or set cannot be read or written.

    Examples
    --------
    >>> refmaker.scan("examples/air.nc").write("air.json")
    >>> entry = refmaker.catalog.add("catalog.yaml", "air.json", description="a month of air")
    >>> entry.name, entry.stock
    ('air', True)
    """
    import os

    if driver not in (None, "stock", "refmaker"):
        raise ValueError(f"driver is {driver!r}, not 'stock' or 'refmaker'")
    if intake not in (1, 2):
        raise ValueError(f"intake is {intake!r}, not 1 or 2")
    where = os.fspath(catalog)
    entry = describe_entry(
        os.fspath(refs),
        where,
        name=name,
        description=description,
        group=group,
        stock=None if driver is None else driver == "stock",
        storage_options=storage_options,
        parameters=parameters,
    )
    document = read_catalog(where, new=intake)
    module = dialect(document)
    if entry.name in module.sections(document)[0] and not overwrite:
        raise MetadataError(
            f"there is an entry {entry.name!r} already",
            url=where,
            hint="choose another `name=...`, or replace it: `overwrite=True`",
        )
    module.put(document, entry)
    write_catalog(document, where)
    return entry


def entries(catalog: str | os.PathLike[str]) -> list[Listed]:
    """Return the entries of a catalog, in its order.

    Parameters
    ----------
    catalog : str or os.PathLike
        Path or URL of the YAML file.

    Returns
    -------
    list of Listed

    Raises
    ------
    SourceError
        If it cannot be read.
    MetadataError
        If it is no catalog of intake.

    Examples
    --------
    >>> refmaker.scan("examples/air.nc").write("air.json")
    >>> added = refmaker.catalog.add("catalog.yaml", "air.json", description="a month of air")
    >>> [(entry.name, entry.description) for entry in refmaker.catalog.entries("catalog.yaml")]
    [('air', 'a month of air')]
    """
    import os

    document = read_catalog(os.fspath(catalog))
    found = []
    for name, written in dialect(document).sections(document)[0].items():
        more = written.get("metadata") or {}
        opens = written.get("driver") or written.get("reader") or ""
        told = written.get("description") or more.get("description") or ""
        found.append(Listed(str(name), str(opens), str(told), written))
    return found
