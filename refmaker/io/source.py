"""One file anywhere, read by byte ranges.

Local files are read with ``pread``. Everything else goes through fsspec and a sparse block
cache (`refmaker.io.block_cache`): readers announce the ranges they are about to need
(`Source.prefetch`), and small reads in between are served from memory.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from refmaker.errors import LimitError, SourceChangedError, TruncatedError
from refmaker.io.local_file import LocalFile, local_path
from refmaker.model.report import Cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from refmaker.io.block_cache import BlockCache

__all__ = ["Source", "local_path"]


class Source(Cost):
    """A file, local or remote, and what reading it has cost so far.

    Parameters
    ----------
    url : str or os.PathLike
        A path, or any URL that fsspec knows (``s3://``, ``https://``, ``zip://a::b.zip``).
    storage_options : mapping, optional
        Passed to fsspec. A file that a document names is opened with what `Policy.bound` gives.
    block_size : int, optional
        Bytes of a block of the remote cache; 8 KiB by default.
    whole_file : int, optional
        Remote files up to this many bytes are fetched at once; 16 MiB by default.
    unpack : bool
        Whether a compressed member of an archive is unpacked, as for a document that is read;
        references into it are not possible, so scanning refuses it.

    Attributes
    ----------
    url : str
        The absolute path or the URL, as it goes into references.
    path : str or None
        Path of a local file; None for any other.
    size : int
        Bytes.
    fingerprint : Fingerprint
        Size, modification time and entity tag, taken when opened.
    requests, bytes_read, rounds : int
        What reading has cost so far, the opening included; see `Cost`.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    SourceError
        If it cannot be opened, or its size is not known.
    MissingDependencyError
        If the protocol needs a package that is not installed.
    PolicyError
        If the options hold a policy that does not allow it.

    Notes
    -----
    Several threads may read one source: the bytes are right, but remote reads wait for one
    another and the counters of local reads may miss some. After `close` only the attributes
    are of use.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        storage_options: Mapping[str, Any] | None = None,
        *,
        block_size: int | None = None,
        whole_file: int | None = None,
        unpack: bool = False,
    ) -> None:
        super().__init__()
        self.storage_options = dict(storage_options or {})
        text = os.fspath(url)
        path = local_path(text)
        self.path = None if path is None else os.path.abspath(path)
        self.url = text if self.path is None else self.path
        self._store: _Local | BlockCache
        if self.path is not None:
            if self.storage_options:
                from refmaker.io.policy import policy_of

                policy_of(text, storage_options)
            self._store = _Local(self.path, self)
        else:
            from refmaker.io import block_cache

            self._store = block_cache.BlockCache(
                self.url,
                self.storage_options,
                self,
                block_size=block_cache.BLOCK if block_size is None else block_size,
                whole_file=block_cache.WHOLE_FILE if whole_file is None else whole_file,
                unpack=unpack,
            )
        self.fingerprint = self._store.fingerprint
        self.size = self.fingerprint.size

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes.

        Raises
        ------
        TruncatedError
            If the range does not lie inside the file.
        """
        self._check(offset, length)
        return self._store.read(offset, length)

    def read_upto(self, offset: int, length: int) -> bytes:
        """Return the bytes of the range that lie inside the file."""
        length = max(0, min(length, self.size - offset))
        return self._store.read(offset, length) if length else b""

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of many ``(offset, length)``, fetched together.

        Raises
        ------
        TruncatedError
            If a range does not lie inside the file.
        """
        for offset, length in ranges:
            self._check(offset, length)
        self._store.prefetch(ranges)
        return [self._store.read(offset, length) for offset, length in ranges]

    def read_blocks(self, offsets: NDArray[np.uint64], length: int) -> NDArray[np.uint8]:
        """Return many ranges of equal length as the rows of one array.

        Parameters
        ----------
        offsets : ndarray of uint64, shape (n,)
            First byte of each range.
        length : int
            Bytes of each range.

        Returns
        -------
        ndarray of uint8, shape (n, length)

        Raises
        ------
        TruncatedError
            If a range does not lie inside the file.
        LimitError
            If the ranges overlap so much that together they are far larger than the file.
        """
        import numpy as np

        offsets = np.asarray(offsets, np.uint64)
        if offsets.size:
            self._check(int(offsets.max()), length)
        if offsets.size * length > self.fingerprint.revisit_limit:
            raise LimitError(
                f"{offsets.size} ranges of {length} bytes in a file of {self.size}", url=self.url
            )
        blocks = np.empty((offsets.size, length), np.uint8)
        # Neighbours in the file are neighbours in the result, so that runs are one read.
        breaks = np.flatnonzero(np.diff(offsets) != length) + 1
        edges = np.concatenate([[0], breaks, [offsets.size]]).astype(np.int64)
        # In order as they are; `np.unique` would load masked arrays for it.
        edges = edges[np.diff(edges, prepend=-1) > 0]
        firsts = offsets[edges[:-1]].tolist()
        runs = list(zip(firsts, (np.diff(edges) * length).tolist(), strict=True))
        self._store.prefetch(runs)
        flat = memoryview(blocks.reshape(-1))  # type: ignore[arg-type]
        at = 0
        for offset, nbytes in runs:
            self._store.read_into(offset, flat[at : at + nbytes])
            at += nbytes
        return blocks

    def at_hand(self, ranges: Iterable[tuple[int, int]]) -> bool:
        """Tell whether ranges can be read without a request; those of local files always."""
        return self._store.at_hand(ranges)

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch what of these ranges is not at hand yet, in one round; a hint, never an error."""
        inside = [
            (offset, min(length, self.size - offset))
            for offset, length in ranges
            if 0 <= offset < self.size and length > 0
        ]
        if inside:
            self._store.prefetch(inside)

    def cluster(self, nbytes: int) -> None:
        """Fetch aligned windows of this size for remote reads that were not announced.

        For formats that keep their metadata together in pages of a known size.
        """
        if isinstance(self._store, _Local):
            return
        self._store.window = nbytes

    def sparse(self, block: int) -> None:
        """Read small pieces of a large remote file that lie far from each other.

        For formats whose metadata are scattered among the data, and lead from one place to the
        next. Announced ranges then bring along less of what is beside them, and more is spent on
        rounds before the whole file is fetched instead. Files small enough to be fetched at
        once, and local ones, are read as before.

        Parameters
        ----------
        block : int
            Bytes of a block of the cache; what is in it already is kept. Blocks are halved
            until they are not larger.

        Notes
        -----
        Not to be called while other threads read.
        """
        if isinstance(self._store, _Local):
            return
        self._store.sparse(block)

    def open(self) -> io.RawIOBase:
        """Return a seekable, read-only file view, for libraries that want one."""
        return _View(self)

    def check_unchanged(self) -> None:
        """Compare the file with its fingerprint; costs a request if the file is remote.

        Raises
        ------
        SourceChangedError
            If it is not the file that was opened.
        SourceError
            If it is gone.
        """
        if self._store.describe() != self.fingerprint:
            raise SourceChangedError(
                "the file changed while it was read", url=self.url, hint="scan it again"
            )

    def close(self) -> None:
        """Give back the file handle and the cache."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise TruncatedError(
                f"{length} bytes are needed where the file has {self.size} in all",
                url=self.url,
                offset=offset,
                hint="the file is incomplete or damaged",
            )


class _View(io.RawIOBase):
    """A position in a source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}
        if whence not in bases:
            raise ValueError(f"whence {whence}")
        if bases[whence] + offset < 0:
            raise ValueError(f"a position before the file: {bases[whence] + offset}")
        self._at = bases[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self._source.read_upto(self._at, len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        data = self._source.read_upto(self._at, self._source.size)
        self._at += len(data)
        return data


class _Local(LocalFile):
    """A local file as the cache of a remote one, which it does not need."""

    def read_into(self, offset: int, view: memoryview) -> None:
        self.fill(view, offset)

    def at_hand(self, ranges: Iterable[tuple[int, int]]) -> bool:  # noqa: ARG002
        return True

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Do nothing: the operating system's cache is better at it."""
