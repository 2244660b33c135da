"""A parser for VirtualiZarr that scans."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from refmaker.errors import UnsupportedError
from refmaker.io.local_file import local_path
from refmaker.model.report import ScanReport
from refmaker.reading.data_files import tell_losses
from refmaker.scanning.scan import scan
from refmaker.virtualizarr.library import manifests
from refmaker.virtualizarr.to_manifests import to_store

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Parser", "decoded_path"]


class Parser:
    """Parses files of every format that refmaker scans, for ``open_virtual_dataset``.

    Parameters
    ----------
    group : str, optional
        Path of the group that is opened.
    skip_variables : collection of str, optional
        Names or paths of arrays and groups that are left out.
    strict : bool
        Whether it is an error that something in the file cannot be referenced, or cannot be
        expressed in Zarr version 3. Otherwise a warning names what is left out.
    storage_options : mapping, optional
        Passed to fsspec, with which the file is scanned; chunks are read from the registry's
        stores.
    **scan_options
        Keywords of `refmaker.scan`, such as ``format``, ``cache`` or ``inline_threshold``.

    Attributes
    ----------
    report : ScanReport
        The account of the last file: a row for every object in it.

    Raises
    ------
    TypeError
        If a keyword is none.

    Examples
    --------
    >>> from obspec_utils.registry import ObjectStoreRegistry
    >>> from obstore.store import LocalStore
    >>> from virtualizarr import open_virtual_dataset
    >>> from refmaker.virtualizarr import Parser
    >>> registry = ObjectStoreRegistry({"file://": LocalStore()})
    >>> vds = open_virtual_dataset("examples/air.nc", registry=registry, parser=Parser())
    >>> dict(vds["air"].sizes)
    {'time': 124, 'lat': 11, 'lon': 21}
    """

    def __init__(
        self,
        group: str | None = None,
        skip_variables: Collection[str] | None = None,
        *,
        strict: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        **scan_options: Any,
    ) -> None:
        self.group = group
        self.skip_variables = frozenset(skip_variables or ())
        self.strict = strict
        self.storage_options = dict(storage_options or {})
        self.scan_options = scan_options
        self.report = ScanReport("")

    def __repr__(self) -> str:
        return f"Parser(group={self.group!r}, {self.scan_options})"

    def __call__(self, url: str, registry: Any) -> Any:
        """Scan a file.

        Parameters
        ----------
        url : str
            A path or URL.
        registry : obspec_utils.registry.ObjectStoreRegistry
            The stores that chunks are read from.

        Returns
        -------
        virtualizarr.manifests.ManifestStore
            The file's groups and arrays.

        Raises
        ------
        MissingDependencyError
            If VirtualiZarr 2.8 or later is not installed.
        RefmakerError
            As `refmaker.scan` and `to_store` raise it.
        """
        manifests()
        refs = scan(decoded_path(url), self.storage_options, **self.scan_options)
        self.report = refs.report
        if self.strict:
            for row in refs.report.skipped:
                raise UnsupportedError(
                    f"it cannot be referenced: {row.reason}",
                    code=row.code or "unsupported",
                    url=refs.report.url,
                    path=row.path,
                )
        tell_losses(refs.report)
        return to_store(
            refs,
            registry,
            group=self.group,
            skip_variables=self.skip_variables,
            strict=self.strict,
        )


def decoded_path(url: str) -> str:
    """Return the path that a ``file:`` URL means; others are returned as they are.

    VirtualiZarr percent-encodes paths that it is given without ``file:``, and nothing decodes
    them: what is meant is the name that exists.
    """
    path = local_path(url)
    if path is None:
        return url
    decoded = unquote(path)
    return decoded if not os.path.exists(path) and os.path.exists(decoded) else path
