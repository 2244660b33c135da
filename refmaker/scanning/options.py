"""How to scan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ScanOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """How to scan; the same for every format.

    Parameters
    ----------
    inline_threshold : int
        Chunks up to this many decoded bytes are kept in the reference set, in the arrays that
        have but one chunk: coordinates and scalars.
    inline_budget : int
        Decoded bytes of one array that may be inlined where its elements cannot be
        referenced, such as variable-length strings.
    chunk_bytes : int, optional
        Target size of the pieces into which uncompressed contiguous data are split or
        joined; None leaves them as stored.
    follow_external : bool
        Follow links and external storage that leave the file's own directory.
    verify_index : bool
        Compare every chunk position with the format's own library while scanning.
    settings : mapping of str to str
        Choices that only some formats know, by name; see `refmaker.scanning.protocol.Setting`.

    Examples
    --------
    >>> options = refmaker.ScanOptions(inline_threshold=0)
    >>> refmaker.scan("examples/air.nc", options=options).report
    <ScanReport of '.../examples/air.nc' (hdf5): 1 group, 4 referenced>
    >>> refmaker.scan("examples/air.nc", inline_threshold=0).report  # the same
    <ScanReport of '.../examples/air.nc' (hdf5): 1 group, 4 referenced>
    """

    inline_threshold: int = 1024
    inline_budget: int = 16 * 1024**2
    chunk_bytes: int | None = 4 * 1024**2
    follow_external: bool = False
    verify_index: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
