"""Any HDF5 filter pipeline, decoded by HDF5 itself.

A chunk's raw bytes are put into a dataset of a small file in memory that has the same filter
pipeline, and read from it. Every filter that HDF5 finds works that way, plugins included.
"""

from __future__ import annotations

import itertools
import os
import struct
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.base import (
    MAX_CHUNK,
    Buffer,
    DecodeOnly,
    bounded,
    deliver,
    expect,
    input_bytes,
    library,
)
from refmaker.codecs.hdf5_registry import describe_filter, remedy
from refmaker.codecs.hdf5_size_check import size_check
from refmaker.codecs.native_libraries import load_hdf5_filters
from refmaker.errors import CodecError, MetadataError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HDF5Filters", "Pipeline"]

#: A filter pipeline: id and client values of each filter, in storage order.
Pipeline = tuple[tuple[int, tuple[int, ...]], ...]

#: Most filters in a pipeline (H5Z_MAX_NFILTERS).
_MAX_FILTERS = 32
#: Ids that stand for the real ones while the file is built; 256..511 are reserved for testing.
_STAND_IN = 400
#: Files kept open; building one takes a few milliseconds.
_MAX_STUBS = 64
#: A file is given up once storing chunks in it has let it grow to this many times a chunk.
_MAX_GROWTH = 8

_names = itertools.count()


class HDF5Filters(DecodeOnly):
    """Decode a chunk with the HDF5 library's own filters.

    h5py is needed, and for filters outside HDF5 their plugins: those of the package hdf5plugin
    are found when it is installed, others through ``HDF5_PLUGIN_PATH``. HDF5 decodes one chunk
    at a time, whatever the number of threads.

    Parameters
    ----------
    filters : sequence of (int, sequence of int)
        Filter id and client values (``cd_values``) as the file has them, in storage order.
    nbytes : int
        Size of the decoded chunk in bytes.

    Notes
    -----
    Plugins run inside this process: one that is not safe against corrupt data (SZ3 is known not
    to be) can end it.
    """

    codec_id = "refmaker.hdf5_filters"
    fields = ("filters", "nbytes")

    def __init__(self, filters: Sequence[tuple[int, Sequence[int]]], nbytes: int) -> None:
        self.nbytes = bounded("nbytes", nbytes, 1, MAX_CHUNK)
        if len(filters) >= _MAX_FILTERS:
            raise MetadataError(f"{self.codec_id}: {len(filters)} filters, HDF5 has at most 32")
        self.filters: list[list[Any]] = [
            [
                bounded("filter id", filter_id, 1, 65535),
                [bounded("client value", value, 0, 2**32 - 1) for value in values],
            ]
            for filter_id, values in filters
        ]

    def without(self, mask: int) -> HDF5Filters:
        """Return the codec for chunks that skipped the filters whose bit is set in `mask`."""
        kept = [entry for index, entry in enumerate(self.filters) if not mask >> index & 1]
        return HDF5Filters([(entry[0], entry[1]) for entry in kept], self.nbytes)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode one chunk.

        Raises
        ------
        CodecError
            If HDF5 cannot decode the chunk, or gets fewer than `nbytes` bytes out of it.
        UnsupportedError
            If HDF5 does not find one of the filters; the code is ``filter-unavailable``.
        """
        raw = input_bytes(buf)
        if not self.filters:
            expect(self.codec_id, raw.size, self.nbytes, "an unfiltered chunk")
            return deliver(self.codec_id, raw, out)
        pipeline: Pipeline = tuple((entry[0], tuple(entry[1])) for entry in self.filters)
        return deliver(self.codec_id, _stubs.get(pipeline, self.nbytes).decode(raw), out)


class _Stub:
    """One file in memory with one chunk; its lock keeps writing and reading together."""

    def __init__(self, pipeline: Pipeline, nbytes: int) -> None:
        self.pipeline = pipeline
        self.nbytes = nbytes
        self._lock = threading.Lock()
        self._dataset: Any = None

    def decode(self, raw: Buffer) -> Buffer:
        h5s = library("h5py.h5s")

        decoded = np.empty(self.nbytes, np.uint8)
        with self._lock:
            if self._dataset is None:
                self._dataset = self._open()
            try:
                self._dataset.write_direct_chunk((0,), raw.tobytes(), 0)
                self._dataset.read(h5s.ALL, h5s.ALL, decoded)
            except (OSError, RuntimeError, ValueError) as error:
                self._dataset = None
                names = ", ".join(describe_filter(filter_id) for filter_id, _ in self.pipeline)
                raise CodecError(
                    f"HDF5 cannot decode a chunk of {raw.size} bytes with {names}: {error}"
                ) from error
            self._limit_growth()
        return decoded

    def _limit_growth(self) -> None:
        h5i = library("h5py.h5i")

        # Chunks of ever new lengths leave gaps that HDF5 does not always fill again.
        if h5i.get_file_id(self._dataset).get_filesize() > _MAX_GROWTH * self.nbytes + 2**20:
            self._dataset = None

    def _open(self) -> Any:
        h5d = library("h5py.h5d")
        h5f = library("h5py.h5f")
        h5p = library("h5py.h5p")

        check_available(filter_id for filter_id, _ in self.pipeline)
        # The check comes first in storage order, so it is last when reading: it sees the size
        # that the real filters gave. HDF5 itself would read past the end of a short result.
        checked = ((size_check(), (self.nbytes & 0xFFFF_FFFF, 0)), *self.pipeline)
        access = _in_memory()
        access.set_file_image(_image(checked, self.nbytes))
        file = h5f.open(_unique_name(), h5f.ACC_RDWR, fapl=access)
        no_cache = h5p.create(h5p.DATASET_ACCESS)
        no_cache.set_chunk_cache(0, 0, 0.0)
        return h5d.open(file, b"chunk", no_cache)


class _Stubs:
    """The stubs of this process, least recently used first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stubs: OrderedDict[tuple[Pipeline, int], _Stub] = OrderedDict()

    def get(self, pipeline: Pipeline, nbytes: int) -> _Stub:
        key = (pipeline, nbytes)
        with self._lock:
            stub = self._stubs.pop(key, None) or _Stub(pipeline, nbytes)
            self._stubs[key] = stub
            # A stub that another thread still holds closes when that thread is done.
            while len(self._stubs) > _MAX_STUBS:
                self._stubs.popitem(last=False)
        return stub

    def forget(self) -> None:
        """Start anew in a forked child: a lock may have been held by a thread that is gone."""
        self.__init__()  # type: ignore[misc]


_stubs = _Stubs()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stubs.forget)


def check_available(filter_ids: Any) -> None:
    """Make sure that HDF5 finds every one of these filters.

    Raises
    ------
    UnsupportedError
        For the first filter that HDF5 does not find, with code ``filter-unavailable``.
    """
    h5z = library("h5py.h5z")

    load_plugins()
    for filter_id in filter_ids:
        if not h5z.filter_avail(filter_id):
            raise UnsupportedError(
                f"HDF5 does not find the filter {describe_filter(filter_id)}",
                code="filter-unavailable",
                hint=remedy(filter_id),
            )


def load_plugins() -> None:
    """Make HDF5 see the filters of the package hdf5plugin, if it is installed."""
    with suppress(ImportError):
        load_hdf5_filters()


def _in_memory() -> Any:
    h5p = library("h5py.h5p")

    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(1 << 16, False)
    return access


def _unique_name() -> bytes:
    # Files in memory are told apart by name: two of one name would share their contents.
    return f"refmaker-{os.getpid()}-{next(_names)}".encode()


def _image(pipeline: Pipeline, nbytes: int) -> bytes:
    """Build the bytes of a file with one chunked dataset and exactly this pipeline.

    Setting the real filters would not do: their ``set_local`` functions rewrite client values
    when a dataset is created. So the dataset is created with ids that nobody has registered, and
    the ids are exchanged in the file afterwards. The old format keeps no checksums.
    """
    h5d = library("h5py.h5d")
    h5f = library("h5py.h5f")
    h5p = library("h5py.h5p")
    h5s = library("h5py.h5s")
    h5t = library("h5py.h5t")
    h5z = library("h5py.h5z")

    access = _in_memory()
    access.set_libver_bounds(h5f.LIBVER_EARLIEST, h5f.LIBVER_V18)
    file = h5f.create(_unique_name(), h5f.ACC_TRUNC, fapl=access)
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk((nbytes,))
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    for index, (_, values) in enumerate(pipeline):
        creation.set_filter(_STAND_IN + index, h5z.FLAG_OPTIONAL, values)
    space = h5s.create_simple((nbytes,))
    dataset = h5d.create(file, b"chunk", h5t.STD_U8LE, space, creation)
    h5f.flush(file)
    image: bytes = file.get_file_image()
    del dataset
    file.close()
    for index, (filter_id, values) in enumerate(pipeline):
        # Filter description (File Format Specification, IV.A.2.l, version 1): id, name length,
        # flags, number of client values, then the values.
        words = struct.pack(f"<{len(values)}I", *values)
        found = struct.pack("<4H", _STAND_IN + index, 0, 1, len(values)) + words
        if image.count(found) != 1:
            raise CodecError(f"HDF5 wrote a filter pipeline that {HDF5Filters.codec_id} misreads")
        exact = struct.pack("<4H", filter_id, 0, 0, len(values)) + words
        image = image.replace(found, exact)
    return image
