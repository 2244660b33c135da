"""The scanner for HDF5 and netCDF4; loads h5py when the first file is opened."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from refmaker.scanners.hdf5.declared import FORMAT, SIGNATURE, USER_BLOCKS
from refmaker.scanning.declaration import DeclaredScanner

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from refmaker.io.source import Source
    from refmaker.model import Group
    from refmaker.model.report import ScanReport
    from refmaker.scanners.hdf5.scan_reuse import ScanReuse
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["HDF5Scanner"]


class HDF5Scanner(DeclaredScanner, declaration=FORMAT):
    """Scans HDF5 files, and so netCDF4, MATLAB 7.3, NWB, AnnData, ODIM and their like."""

    calls_library = True

    def __init__(self) -> None:
        self._patterns: ScanReuse | None = None
        self._used = False

    def suspicious(self, head: bytes, size: int) -> bool:
        """Tell whether a file is so odd that the HDF5 library had better read it elsewhere.

        Parameters
        ----------
        head : bytes
            The file's first bytes.
        size : int
            Bytes of the file.
        """
        at = next((at for at in USER_BLOCKS if head[at : at + 8] == SIGNATURE), None)
        if at is None or len(head) < at + 48:
            return True
        version = head[at + 8]
        if version > 3:
            return True
        if version >= 2:
            end = struct.unpack_from("<Q", head, at + 28)[0]
        else:
            end = struct.unpack_from("<Q", head, at + (40 if version == 0 else 44))[0]
        # Addresses count from the end of a user block, or from the start of the file.
        return end not in (size, size - at)

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Scan a file.

        Parameters
        ----------
        source : Source
            The file.
        options : ScanOptions
            How to scan.

        Returns
        -------
        Group
            The file's groups and datasets.
        ScanReport
            What became of each.

        Raises
        ------
        FormatError
            If the HDF5 library cannot open the file.
        """
        if self._patterns is None:
            if not self._used:
                from refmaker.scanners.hdf5.scan import FileScan

                self._used = True
                return FileScan(source, options).run()
            from refmaker.scanners.hdf5.scan_reuse import ScanReuse

            self._patterns = ScanReuse()
        return self._patterns.scan(source, options)

    def native(self, source: Source) -> AbstractContextManager[LibraryReader]:
        """Open a file with h5py, to ask for true values."""
        from refmaker.scanners.hdf5.h5py_reader import open_native

        return open_native(source)
