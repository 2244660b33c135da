"""HDF5 and netCDF4.

``declared``, ``scanner``
    The scanner: sniffs, scans, opens natively.
``scan``
    One scan of one file, from links to reference set.
``opening``, ``native``
    The file in the hands of h5py: to be scanned, and as the oracle of ``verify``.
``walk``, ``attributes``, ``types``, ``dimensions``, ``dataset``
    What h5py tells: links and objects, attributes, datatypes, names of dimensions.
``superblock``, ``object_header``, ``layout``, ``lockstep``, ``checksum``, ``chunk_index``
    What is read from the bytes: where the chunks of a dataset lie, for many datasets at once.
``chunks``, ``arrays``, ``strings``, ``external``, ``virtual``, ``fill``
    Datasets to arrays, each layout in its own way.
``alike``, ``outline``, ``outline_error``, ``attribute_bytes``, ``recipes``
    Files like one scanned before, told by the bytes of their metadata, without h5py.
``filters``, ``filter_codecs``
    Filter pipelines to codecs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.hdf5.scanner import HDF5Scanner as HDF5Scanner

__all__ = ["HDF5Scanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "HDF5Scanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.hdf5.scanner import HDF5Scanner

    return HDF5Scanner
