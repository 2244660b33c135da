"""A whole scanner for a small format of this test suite's own: how to write one.

A toy file starts with ``b"TOYFMT1\\n"``, four bytes of little-endian header length, and a header
in JSON: ``{"arrays": [{"name", "dtype", "shape", "rows", "offsets", "compressed"}]}``. Each
array is cut along its first dimension into chunks of ``rows`` rows, which lie at ``offsets``
of the file, raw or deflated; an offset of 0 is a chunk that was never written. Names with
slashes make groups. A dtype that numpy does not know is an object that cannot be referenced.
"""

# ruff: noqa: TRY301 - one function, one level of handling, as a small scanner has
from __future__ import annotations

import json
import math
import zlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, TruncatedError
from refmaker.io.source import Source
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanning.protocol import Setting, setting_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from refmaker.scanning.options import ScanOptions

MAGIC = b"TOYFMT1\n"
PART_MAGIC = b"TOYPART\n"
TONES = ("quiet", "loud")
FILL = 7


class ToyScanner:
    """The scanner."""

    name = "toy"
    suffixes = (".toy",)
    settings = (
        Setting("tone", "quiet", "An attribute of the root group, unless it is quiet.", TONES),
    )

    def sniff(self, head: bytes, url: str) -> float:
        """Recognise the first bytes."""
        return 1.0 if head.startswith(MAGIC) else 0.0

    def suspicious(self, head: bytes, size: int) -> bool:
        """Ask for a process of its own where the header says so."""
        return b'"odd"' in head

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Turn every array of the header into one of the reference set."""
        report = ScanReport(source.url, self.name)
        report.add("/", Outcome.GROUP)
        tree: dict[str, Any] = {}
        for entry in _header(source):
            try:
                array = _array(entry, source, options)
            except TypeError as error:
                report.add(entry["name"], Outcome.SKIPPED, str(error), "dtype-unknown")
                continue
            *groups, name = entry["name"].split("/")
            level = tree
            for depth, group in enumerate(groups, 1):
                if group not in level:
                    report.add("/".join(groups[:depth]), Outcome.GROUP)
                level = level.setdefault(group, {})
            level[name] = array
            kept = array.chunks.inlined and not array.chunks.referenced
            report.add(entry["name"], Outcome.INLINED if kept else Outcome.REFERENCED)
        tone = setting_values(self, options)["tone"]
        group = _group(tree)
        return (group if tone == "quiet" else Group(group.members, {"tone": tone})), report

    @contextmanager
    def native(self, source: Source) -> Iterator[ToyFile]:
        """Open the file with the format's own library, which is the class below."""
        yield ToyFile(source)


class PartsScanner(ToyScanner):
    """A format whose files are parts of one object: each holds rows of the same arrays."""

    name = "parts"
    suffixes = (".part",)

    def sniff(self, head: bytes, url: str) -> float:
        """Recognise the first bytes."""
        return 1.0 if head.startswith(PART_MAGIC) else 0.0

    def collect(
        self, urls: Sequence[str], storage_options: Any, options: ScanOptions
    ) -> tuple[Group, ScanReport]:
        """Join the rows of all files, in the order given."""
        report = ScanReport(urls[0], self.name)
        found: dict[str, list[Array]] = {}
        for url in urls:
            with Source(url, storage_options) as source:
                if not self.sniff(source.read_upto(0, 8), url):
                    report.add(url, Outcome.SKIPPED, "not a part", "unknown-format")
                    continue
                group, _ = self.scan(source, replace(options, inline_threshold=0))
                report.sources[source.url] = source.fingerprint
            report.add(url, Outcome.REFERENCED)
            for path, array in group.arrays():
                found.setdefault(path, []).append(array)
        return Group({path: _joined(parts) for path, parts in found.items()}), report

    @contextmanager
    def native_collection(self, urls: Sequence[str], storage_options: Any) -> Iterator[Any]:
        """Open nothing: the tests of collections look at what references say."""
        raise NotImplementedError("the toy format has no library of its own")
        yield


def _joined(parts: list[Array]) -> Array:
    urls = tuple(part.chunks.urls[0] for part in parts)
    counts = [part.chunks.referenced for part in parts]
    rows = sum(part.shape[0] for part in parts)
    table = ChunkTable.from_columns(
        (sum(counts), *parts[0].chunks.grid[1:]),
        urls,
        offset=np.concatenate([part.chunks.offset for part in parts]),
        length=np.concatenate([part.chunks.length for part in parts]),
        url=np.repeat(np.arange(len(parts)), counts),
    )
    return replace(parts[0], shape=(rows, *parts[0].shape[1:]), chunks=table)


class ToyFile:
    """The toy format's own library: reads a whole array in the plainest way."""

    def __init__(self, source: Source) -> None:
        self._bytes = source.read(0, source.size)
        length = int.from_bytes(self._bytes[8:12], "little")
        document = json.loads(self._bytes[12 : 12 + length])
        self.entries = {entry["name"]: entry for entry in document["arrays"]}

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> Any:
        """Return the values of a region."""
        entry = self.entries[path]
        if entry.get("broken"):
            raise OSError("the toy library cannot read it")
        rows, shape, dtype = entry["rows"], tuple(entry["shape"]), np.dtype(entry["dtype"])
        values = np.full(shape, FILL, dtype)
        for i, offset in enumerate(entry["offsets"]):
            if offset:
                count = rows * math.prod(shape[1:])
                part = self._bytes[offset:]
                part = zlib.decompressobj().decompress(part) if entry["compressed"] else part
                block = np.frombuffer(part, dtype, count).reshape(rows, *shape[1:])
                values[i * rows : (i + 1) * rows] = block[: shape[0] - i * rows]
        return values[region]


def _header(source: Source) -> list[dict[str, Any]]:
    length = int.from_bytes(source.read(8, 4), "little")
    try:
        entries = json.loads(source.read(12, length))["arrays"]
    except TruncatedError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FormatError(f"the header is damaged: {error!r}", offset=12) from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FormatError("the header is damaged: it lists no arrays", offset=12)
    return entries


def _array(entry: dict[str, Any], source: Source, options: ScanOptions) -> Array:
    dtype = np.dtype(entry["dtype"])
    try:
        shape, rows = tuple(map(int, entry["shape"])), int(entry["rows"])
        offset = np.array(entry["offsets"], np.uint64)
        length = np.array(entry["lengths"], np.uint64)
        written = offset > 0
        if offset.size and bool((offset[written] + length[written] > source.size).any()):
            raise TruncatedError("a chunk ends behind the file", path=str(entry["name"]))
        grid = (-(-shape[0] // rows), *(1 for _ in shape[1:]))
        table = ChunkTable.from_columns(
            grid,
            (source.url,),
            offset=offset[written],
            length=length[written],
            index=np.flatnonzero(written),
        )
        nbytes = math.prod(shape) * dtype.itemsize
        if table.size == 1 and table.referenced and nbytes <= options.inline_threshold:
            where = table.get(0)
            table = ChunkTable.inline(grid, {0: source.read(where.offset, where.length)})
        return Array(
            shape,
            (rows, *shape[1:]),
            dtype,
            table,
            # Declared only where it is needed: xarray takes any fill value for missing data.
            fill_value=FILL if table.absent else None,
            compressor={"id": "zlib", "level": 1} if entry["compressed"] else None,
            dimension_names=tuple(
                f"{entry['name'].rpartition('/')[2]}_{i}" for i in range(len(shape))
            ),
        )
    except TruncatedError:
        raise
    except (ValueError, KeyError, OverflowError, ZeroDivisionError, AttributeError) as error:
        raise FormatError(f"the header is damaged: {error!r}", offset=12) from error


def _group(tree: dict[str, Any]) -> Group:
    return Group({k: _group(v) if isinstance(v, dict) else v for k, v in tree.items()})


def write_toy(path: Path, arrays: dict[str, Any], *, rows: int = 4, **extra: Any) -> Path:
    """Write arrays to a toy file.

    Parameters
    ----------
    path : Path
        Where.
    arrays : dict of str to ndarray, or str
        A string is put in place of the dtype of an array of zeros.
    rows : int
        Rows of a chunk.
    **extra
        More members of every entry: ``compressed=True``, ``skip=(1,)`` for chunks that are not
        written, ``broken=True`` for what the native library cannot read.
    """
    compressed, skip = extra.pop("compressed", False), extra.pop("skip", ())
    entries, blocks = [], []
    for name, value in arrays.items():
        values = np.zeros((4, 2), "i2") if isinstance(value, str) else np.asarray(value)
        pieces = []
        for i in range(-(-values.shape[0] // rows)):
            block = np.zeros((rows, *values.shape[1:]), values.dtype)
            part = values[i * rows : (i + 1) * rows]
            block[: part.shape[0]] = part
            raw = zlib.compress(block.tobytes()) if compressed else block.tobytes()
            pieces.append(b"" if i in skip else raw)
        entries.append(
            {
                "name": name,
                "dtype": value if isinstance(value, str) else values.dtype.str,
                "shape": list(values.shape),
                "rows": rows,
                "offsets": [0] * len(pieces),
                "lengths": [len(piece) for piece in pieces],
                "compressed": compressed,
                **extra,
            }
        )
        blocks.append(pieces)
    start = 16384
    for entry, pieces in zip(entries, blocks, strict=True):
        for i, piece in enumerate(pieces):
            if piece:
                entry["offsets"][i], start = start, start + len(piece)
    header = json.dumps({"arrays": entries}).encode()
    head = (MAGIC + len(header).to_bytes(4, "little") + header).ljust(16384, b"\0")
    path.write_bytes(head + b"".join(piece for pieces in blocks for piece in pieces))
    return path
