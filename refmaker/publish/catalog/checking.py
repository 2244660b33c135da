"""Whether the entries of a catalog open, and give what their reference sets say."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refmaker.errors import MissingDependencyError
from refmaker.publish.catalog.documents import dialect, read_catalog

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import xarray as xr

__all__ = ["EntryCheck", "check"]


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
        return [_check(opened, name) for name in names]


def _check(catalog: Any, name: str) -> EntryCheck:
    try:
        entry = catalog[name]
        found = entry.to_dask() if hasattr(type(entry), "to_dask") else entry.read()
        for variable in found.variables.values():
            first = {dim: 0 for dim, size in variable.sizes.items() if size}
            variable.isel(first).load()
    except Exception as error:  # noqa: BLE001 - one entry never costs the others
        cause = error.__cause__ or error
        return EntryCheck(name, reason=" ".join(f"{type(cause).__name__}: {cause}".split()))
    return EntryCheck(name, _count(found))


def _count(found: xr.Dataset) -> int:
    return len(found.variables)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what intake warns of at every text parameter."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Shell command not executed")
        yield
