"""Whether the entries of a catalog open, and give what their reference sets say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import MissingDependencyError
from refmaker.io.local_file import local_path
from refmaker.publish.catalog.documents import dialect, read_catalog

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import xarray as xr

__all__ = ["EntryCheck", "check"]


_DATA = re.compile(r"\{data\(([^()]*)\)\}")
_FOLDER = re.compile(r"\{+ *CATALOG_DIR *\}+")


@dataclass(frozen=True, slots=True)
class EntryCheck:
    """What opening an entry came to.

    Parameters
    ----------
    name : str
        Of the entry.
    variables : int
        Variables that it has.
    reason : str
        Why it is not right; empty if it is.
    """

    name: str
    variables: int = 0
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether it opened, and the first value of every variable could be read."""
        return not self.reason


def check(catalog: str | os.PathLike[str]) -> list[EntryCheck]:
    """Open every entry of a catalog with intake, and read a value of every variable.

    Parameters
    ----------
    catalog : str or os.PathLike
        Path or URL of the YAML file.

    Returns
    -------
    list of EntryCheck
        One for each entry, with its parameters at their defaults.

    Raises
    ------
    SourceError
        If it cannot be read.
    MetadataError
        If it is no catalog of intake.
    MissingDependencyError
        If intake is not installed.

    Examples
    --------
    >>> refmaker.scan("examples/air.nc").write("air.json")
    >>> added = refmaker.catalog.add("catalog.yaml", "air.json")
    >>> refmaker.catalog.check("catalog.yaml")
    [EntryCheck(name='air', variables=4, reason='')]
    """
    import os

    where = os.fspath(catalog)
    document = read_catalog(where)
    names = [str(name) for name in dialect(document).sections(document)[0]]
    try:
        import intake
    except ImportError as error:
        raise MissingDependencyError(
            "checking a catalog needs intake", hint="pip install intake, or 'refmaker[catalog]'"
        ) from error
    with _quiet():
        opened = intake.open_catalog(where)
        return [_check(opened, name, _far_set(document, name, where)) for name in names]


def _check(catalog: Any, name: str, far: _FarSet | None) -> EntryCheck:
    try:
        entry = catalog[name]
        if far is not None:
            # Stock readers would go wherever a document from afar sends them.
            found = _opened(far)
        elif hasattr(type(entry), "to_dask"):
            found = entry.to_dask()
        else:
            found = entry.read()
        for variable in found.variables.values():
            first = {dim: 0 for dim, size in variable.sizes.items() if size}
            variable.isel(first).load()
    except Exception as error:  # noqa: BLE001 - intake's drivers raise anything; one entry costs no other
        cause = error.__cause__ or error
        return EntryCheck(name, reason=" ".join(f"{type(cause).__name__}: {cause}".split()))
    return EntryCheck(name, len(found.variables))


class _FarSet(NamedTuple):
    """A reference set from afar that an entry has stock readers open."""

    url: str
    storage_options: dict[str, Any]
    group: str | None


def _opened(far: _FarSet) -> xr.Dataset:
    from refmaker.reading.open import open_dataset

    return open_dataset(far.url, storage_options=far.storage_options, group=far.group, chunks={})


def _far_set(document: Any, name: str, catalog: str) -> _FarSet | None:
    """Return the set that an entry opens by stock readers, if it is not a local one."""
    section = dialect(document).sections(document)[0]
    folder, data = catalog.rpartition("/")[0], document.get("data") or {}
    tokens = _DATA.findall(json.dumps(section[name], default=str))
    nodes = [section[name], *map(data.get, tokens)]
    group = next((found for node in nodes for found in _members(node, "group")), None)
    for node in nodes:
        for fo in _members(node, "fo"):
            url = folder.join(_FOLDER.split(str(fo)))
            for named in _members(document, "user_parameters"):
                for parameter, told in (named or {}).items():
                    url = url.replace(f"{{{parameter}}}", str(told.get("default", "")))
            options = next((dict(found) for found in _members(node, "remote_options")), {})
            if local_path(url) is None:
                return _FarSet(url, options, None if group is None else str(group))
    return None


def _members(node: Any, name: str) -> Iterator[Any]:
    """Yield the members of a name, however deep."""
    if isinstance(node, Mapping):
        if name in node:
            yield node[name]
        for below in node.values():
            yield from _members(below, name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what intake warns of at every text parameter."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Shell command not executed")
        yield
