"""refmaker: read archives of scientific files chunk by chunk, in place, as Zarr.

Everything named in ``__all__`` is public, and so is the module `refmaker.errors`; heavy
packages are imported when a function needs them, not before.

Examples
--------
>>> import refmaker
>>> refs = refmaker.scan("examples/air.nc")
>>> refs.write("air.refs.json")
>>> refmaker.open_dataset("air.refs.json")["air"].shape
(124, 11, 21)
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from refmaker import errors as errors
from refmaker._moved import OldNames as _OldNames
from refmaker._version import __version__
from refmaker.errors import RefmakerError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from refmaker.combine import Appended as Appended
    from refmaker.combine import CombineOptions as CombineOptions
    from refmaker.combine import append as append
    from refmaker.combine import best_estimate as best_estimate
    from refmaker.combine import combine as combine
    from refmaker.model.report import ScanReport as ScanReport
    from refmaker.patterns.cube import pattern as pattern
    from refmaker.publish import catalog as catalog
    from refmaker.publish.description import describe as describe
    from refmaker.publish.html_report import report as report
    from refmaker.publish.imaging import fsl_gradients as fsl_gradients
    from refmaker.publish.imaging import to_monai as to_monai
    from refmaker.publish.imaging import to_nibabel as to_nibabel
    from refmaker.publish.imaging import to_sitk as to_sitk
    from refmaker.publish.materialize import Materialized as Materialized
    from refmaker.publish.materialize import materialize as materialize
    from refmaker.publish.serve import serve as serve
    from refmaker.publish.serve import serving as serving
    from refmaker.publish.viewer import View as View
    from refmaker.publish.viewer import view as view
    from refmaker.reading.chunk_bytes import load as load
    from refmaker.reading.open import open_dataset as open_dataset
    from refmaker.reading.open import open_datatree as open_datatree
    from refmaker.reading.open import open_group as open_group
    from refmaker.reading.open import open_store as open_store
    from refmaker.scanning.many_files import Progress as Progress
    from refmaker.scanning.many_files import Scanned as Scanned
    from refmaker.scanning.many_files import scan_many as scan_many
    from refmaker.scanning.options import ScanOptions as ScanOptions
    from refmaker.scanning.scan import scan as scan
    from refmaker.storage.reference_set import ReferenceSet as ReferenceSet
    from refmaker.verification.verify import ArrayCheck as ArrayCheck
    from refmaker.verification.verify import SourceCheck as SourceCheck
    from refmaker.verification.verify import check_sources as check_sources
    from refmaker.verification.verify import verify as verify

__all__ = [
    "Appended",
    "ArrayCheck",
    "CombineOptions",
    "Materialized",
    "Progress",
    "ReferenceSet",
    "RefmakerError",
    "ScanOptions",
    "ScanReport",
    "Scanned",
    "SourceCheck",
    "View",
    "__version__",
    "append",
    "best_estimate",
    "catalog",
    "check_sources",
    "combine",
    "describe",
    "errors",
    "formats",
    "fsl_gradients",
    "load",
    "materialize",
    "open_dataset",
    "open_datatree",
    "open_group",
    "open_store",
    "pattern",
    "read",
    "report",
    "scan",
    "scan_many",
    "serve",
    "serving",
    "to_monai",
    "to_nibabel",
    "to_sitk",
    "verify",
    "view",
    "write",
]

logging.getLogger("refmaker").addHandler(logging.NullHandler())

_HOMES = {
    "refmaker.combine": ("Appended", "CombineOptions", "append", "best_estimate", "combine"),
    "refmaker.model.report": ("ScanReport",),
    "refmaker.patterns.cube": ("pattern",),
    "refmaker.publish.description": ("describe",),
    "refmaker.publish.html_report": ("report",),
    "refmaker.publish.imaging": ("fsl_gradients", "to_monai", "to_nibabel", "to_sitk"),
    "refmaker.publish.materialize": ("Materialized", "materialize"),
    "refmaker.publish.serve": ("serve", "serving"),
    "refmaker.publish.viewer": ("View", "view"),
    "refmaker.reading.chunk_bytes": ("load",),
    "refmaker.reading.open": ("open_dataset", "open_datatree", "open_group", "open_store"),
    "refmaker.scanning.many_files": ("Progress", "Scanned", "scan_many"),
    "refmaker.scanning.options": ("ScanOptions",),
    "refmaker.scanning.scan": ("scan",),
    "refmaker.storage.reference_set": ("ReferenceSet",),
    "refmaker.verification.verify": ("ArrayCheck", "SourceCheck", "check_sources", "verify"),
}
"""Where the names of ``__all__`` that are not defined here come from."""
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


class _Package(ModuleType):
    """The package: importing a module never replaces the function of the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in __all__ and name != "errors"):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        # cloudpickle, and so Dask, knows modules by their exact type.
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
# First of all finders: otherwise the modules of a package that moved are found, and run, again.
sys.meta_path.insert(0, _OldNames())


def __getattr__(name: str) -> Any:
    """Import what is public when it is first asked for."""
    if name == "catalog":
        return import_module("refmaker.publish.catalog")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'refmaker' has no attribute {name!r}")
    return globals().setdefault(name, getattr(import_module(_HOME_OF[name]), name))


def __dir__() -> list[str]:
    return sorted(__all__)


def read(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> ReferenceSet:
    """Read a reference set that this package or another wrote, as JSON, Parquet or Icechunk.

    Parameters
    ----------
    url : str or os.PathLike
        Path or URL; ``-`` is standard input.
    storage_options : mapping, optional
        Passed to fsspec.

    Returns
    -------
    ReferenceSet

    Raises
    ------
    SourceError
        If it cannot be read.
    MetadataError
        If it is no reference set.
    MissingDependencyError
        If it is Parquet, and pyarrow is not installed; or Icechunk, and icechunk is not.
    UnsupportedError
        If something in it cannot be expressed; or it is an Icechunk repository, and icechunk is
        older than version 2.

    Examples
    --------
    >>> refmaker.scan("examples/air.nc").write("air.json")
    >>> refs = refmaker.read("air.json")
    >>> refs["air"].shape
    (124, 11, 21)
    """
    from refmaker.storage.reference_set import ReferenceSet

    return ReferenceSet.read(url, storage_options)


def write(
    reference_set: ReferenceSet,
    out: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the word users know
    relative: bool = False,
    templates: str = "auto",
    for_reader: str | None = None,
) -> None:
    """Write a reference set; the same as ``reference_set.write(out)``.

    Parameters
    ----------
    reference_set : ReferenceSet
        What `scan` or `read` returned.
    out : str or os.PathLike
        Path or URL, which appears whole or not at all; ``-`` is standard output.
    storage_options : mapping, optional
        Passed to fsspec.
    format : str, optional
        "json", "compact", "parquet" or "icechunk". By default the name's ending decides:
        ``.parquet``, ``.icechunk``, or JSON.
    relative : bool
        Name the files by their paths from where the set lies.
    templates : {"auto", "always", "never"}
        Whether names stand for URLs in JSON; GDAL and VirtualiZarr understand none.
    for_reader : str, optional
        Write the set only if this reader understands all of it: "gdal", "virtualizarr" or
        "tensorstore".

    Raises
    ------
    SourceError
        If the place cannot be written.
    MetadataError
        If something in the set cannot be expressed.
    UnsupportedError
        If `for_reader` would not understand an array, or the form.
    MissingDependencyError
        If the format needs a package that is not installed.

    Examples
    --------
    >>> refs = refmaker.scan("examples/air.nc")
    >>> refmaker.write(refs, "air.json")
    >>> refmaker.write(refs, "air.parquet")
    >>> refmaker.read("air.parquet")["air"].shape
    (124, 11, 21)
    """
    reference_set.write(
        out,
        storage_options,
        format=format,
        relative=relative,
        templates=templates,
        for_reader=for_reader,
    )


def formats() -> list[str]:
    """Return the names of the formats that can be scanned, those of other packages included.

    Returns
    -------
    list of str
        In alphabetical order.

    Examples
    --------
    >>> refmaker.formats()[:4]
    ['dicom', 'dmrpp', 'envi', 'fits']
    """
    from refmaker.scanning.protocol import declarations

    return sorted(declarations())
