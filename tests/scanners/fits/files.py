"""FITS files for tests, written by astropy, and headers written card by card."""

import gzip
import tempfile
import warnings
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from astropy.io import fits

from refmaker.io.source import Source
from refmaker.scanners.fits import FITSScanner
from refmaker.scanning.options import ScanOptions

TYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


def values(kind, shape, seed=0):
    """Return values of a type, its extremes among them."""
    chance = np.random.default_rng(seed)
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        made = chance.normal(size=shape).astype(dtype)
        made.flat[:3] = np.nan, np.inf, -0.0
        return made
    limits = np.iinfo(dtype)
    made = chance.integers(limits.min, limits.max, size=shape, dtype=dtype, endpoint=True)
    half = (int(limits.max) + int(limits.min) + 1) // 2
    made.flat[:5] = limits.min, limits.max, half, half + 1, half - 1
    return made


def write(path, *units):
    """Write units; the first one becomes the primary one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList(list(units)).writeto(path, checksum=False, output_verify="ignore")
    return path


def cards(*lines, data=b""):
    """Return a unit of cards as they are given, and data padded to whole blocks."""
    head = b"".join(line.encode("latin-1").ljust(80)[:80] for line in (*lines, "END"))
    return head.ljust(len(head) + -len(head) % 2880) + data + bytes(-len(data) % 2880)


def simple(*lines, data=b""):
    """Return a primary unit of cards."""
    return cards("SIMPLE  =                    T", *lines, data=data)


def scan(path, **fields):
    with Source(path) as source:
        return FITSScanner().scan(source, ScanOptions(**fields))


def in_memory(path):
    """Open a file with astropy, so that nothing holds on to it."""
    raw = path.read_bytes()
    return fits.open(BytesIO(gzip.decompress(raw) if path.suffix == ".gz" else raw))


@contextmanager
def temporary(*units):
    """Write units to a file that is there for a while: for tests of properties."""
    with tempfile.TemporaryDirectory() as folder:
        yield write(Path(folder) / "a.fits", *units)


def packed(path, **settings):
    """Return the gzip file of a file, beside it."""
    found = path.with_name(path.name + ".gz")
    found.write_bytes(gzip.compress(path.read_bytes(), **settings))
    return found
