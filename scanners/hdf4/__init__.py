"""HDF4, and HDF-EOS2 in it.

``descriptors``, ``elements``, ``linked``, ``coders``, ``chunk_tables``
    The data descriptors of a file, and where the bytes of an element lie: in one place, in linked
    blocks, in another file, compressed, in chunks.
``windows``
    Small pieces of a file, read in few larger ones.
``vgroups``, ``vdata``, ``number_types``, ``attributes``, ``annotations``
    Vgroups, Vdatas, what their members mean, and what is said of objects.
``datasets``, ``predecessors``, ``calibration``
    Scientific data sets: by the Vgroups of the netCDF interface, and those without.
``arrays``, ``tables``, ``images``
    Arrays of scientific data sets, of the fields of Vdatas, and of raster images.
``odl``, ``eos``, ``eos_structures``, ``eos_grid``, ``eos_swath``, ``projections``
    HDF-EOS2: its structural metadata, grids with their coordinates, and swaths.
``placing``, ``tree``
    Names that are taken once, and the whole of a file.
``declared``, ``scanner``, ``pyhdf_reader``, ``pyhdf_images``
    The scanner, and the HDF library as a reader to verify with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.hdf4.scanner import HDF4Scanner as HDF4Scanner

__all__ = ["HDF4Scanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "HDF4Scanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.hdf4.scanner import HDF4Scanner

    return HDF4Scanner
