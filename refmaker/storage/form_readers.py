"""Each form of a reference set, read back as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError
from refmaker.storage.formats import StoredForm
from refmaker.storage.rewrite import is_relative

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model import Group

__all__ = ["read_form", "with_origins"]


def read_form(
    name: str, form: str, storage_options: Mapping[str, Any] | None
) -> tuple[Group, Mapping[str, Any], StoredForm]:
    """Return the root group, the member ``refmaker``, and how the set is stored.

    Parameters
    ----------
    name : str
        Path or URL.
    form : {"json", "parquet", "icechunk"}
        As `refmaker.storage.detect.reference_form` tells it.
    storage_options : mapping, optional
        Passed to fsspec.

    Raises
    ------
    RefmakerError
        As `refmaker.read`.
    """
    if form == "parquet":
        from refmaker.storage import parquet_reader

        group, header = parquet_reader.read(name, storage_options)
        return group, header, StoredForm("parquet", templates=False, relative=is_relative(header))
    if form == "icechunk":
        from refmaker.storage import icechunk_reader

        repository = icechunk_reader.read(name, storage_options)
        # Where version 2 says it all, more programs read what is written of it.
        return repository.group, repository.header, StoredForm("icechunk", templates=False)
    from refmaker.io.files import read_file
    from refmaker.storage.hierarchy import group_of
    from refmaker.storage.json_parser import parse

    found = parse(read_file(name, storage_options), name)
    stored = StoredForm(
        "compact" if found.compact else "json",
        templates=found.templates,
        relative=is_relative(found.header),
        zarr_format=3 if "zarr.json" in found.documents else 2,
    )
    return group_of(found, name), found.header, stored


def with_origins(group: Group, origins: Any, name: str) -> Group:
    """Return a group whose edited arrays know where they come from.

    Parameters
    ----------
    group : Group
        The root group.
    origins : object
        The member ``refmaker.origins``: a JSON object, by path.
    name : str
        Where the set lies.

    Raises
    ------
    MetadataError
        If that is no such object.
    """
    if not origins:
        return group
    from refmaker.model.origin import Origin

    if not isinstance(origins, dict):
        raise MetadataError("'origins' is no JSON object", url=name, path="refmaker")
    try:
        known = {path: Origin.from_dict(document) for path, document in origins.items()}
    except MetadataError as error:
        raise error.located(url=name, path="refmaker") from error
    return group.map_paths(
        lambda path, array: replace(array, origin=known[path]) if path in known else array
    )
