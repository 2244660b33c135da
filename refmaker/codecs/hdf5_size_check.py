"""A filter for HDF5 that compares the size of a decoded chunk with what it has to be.

HDF5 does not compare: it copies a whole chunk out of the buffer that the last filter gave it,
also when that buffer is shorter, so a truncated chunk would read as whatever lies behind it in
memory. The filter stands at the far end of the pipelines of ``refmaker.hdf5_filters``.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

from refmaker.codecs.base import library
from refmaker.errors import UnsupportedError

__all__ = ["size_check"]

#: A filter id from the range that HDF5 reserves for testing.
_FILTER_ID = 509
_NAME = b"refmaker: size of a decoded chunk"

_FILTER = ctypes.CFUNCTYPE(
    ctypes.c_size_t,  # valid bytes in the buffer, 0 for failure
    ctypes.c_uint,  # flags
    ctypes.c_size_t,  # number of client values
    ctypes.POINTER(ctypes.c_uint),  # client values
    ctypes.c_size_t,  # valid bytes in the buffer
    ctypes.POINTER(ctypes.c_size_t),  # size of the buffer
    ctypes.POINTER(ctypes.c_void_p),  # the buffer
)


class _FilterClass(ctypes.Structure):
    """H5Z_class2_t of H5Zdevelop.h."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("id", ctypes.c_int),
        ("encoder_present", ctypes.c_uint),
        ("decoder_present", ctypes.c_uint),
        ("name", ctypes.c_char_p),
        ("can_apply", ctypes.c_void_p),
        ("set_local", ctypes.c_void_p),
        ("filter", _FILTER),
    )


@_FILTER  # type: ignore[untyped-decorator]
def _check(_flags: int, _count: int, values: Any, nbytes: int, _size: Any, _buffer: Any) -> int:
    # More than a chunk is left to HDF5, which takes the chunk from the front, as in any file.
    return int(nbytes) if nbytes >= values[0] else 0


_class = _FilterClass(1, _FILTER_ID, 1, 1, _NAME, None, None, _check)
_lock = threading.Lock()
_registered: list[int] = []


def size_check() -> int:
    """Register the filter with the HDF5 library that h5py uses, once.

    Returns
    -------
    int
        The filter's id. Its one client value that counts, the first, is the least number of
        bytes that reading has to give.

    Raises
    ------
    UnsupportedError
        If the library does not let itself be reached; the code is ``hdf5-unreachable``.
    """
    with _lock:
        if not _registered:
            if _hdf5().H5Zregister(ctypes.byref(_class)) < 0:
                raise UnsupportedError("HDF5 refuses another filter", code="hdf5-unreachable")
            _registered.append(_FILTER_ID)
    return _FILTER_ID


def _hdf5() -> Any:
    h5z = library("h5py.h5z")
    # Symbols of an extension module's handle include those of the libraries it is linked with;
    # on Windows they do not, but there the library is loaded under its own name.
    for name in (h5z.__file__, "hdf5.dll"):
        try:
            hdf5 = ctypes.CDLL(name)
            hdf5.H5Zregister.argtypes = [ctypes.c_void_p]
        except (OSError, AttributeError):
            continue
        hdf5.H5Zregister.restype = ctypes.c_int
        return hdf5
    raise UnsupportedError(
        "the HDF5 library of h5py cannot be reached",
        code="hdf5-unreachable",
        hint="install h5py from its wheel",
    )
