"""netCDF classic files for tests: made by the netCDF library, or byte by byte."""

import struct
from dataclasses import dataclass, field

import netCDF4
import numpy as np

CLASSIC, OFFSET64, DATA64 = "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"
FORMATS = (CLASSIC, OFFSET64, DATA64)
OLD_TYPES = ("i1", "S1", "i2", "i4", "f4", "f8")
NEW_TYPES = ("u1", "u2", "u4", "i8", "u8")
CODES = {name: code for code, name in enumerate((*OLD_TYPES, *NEW_TYPES), start=1)}


def types(form):
    return OLD_TYPES + NEW_TYPES if form == DATA64 else OLD_TYPES


def values(shape, dtype, seed=0):
    """Return values that use all bits of the type, NaN excepted."""
    generator = np.random.default_rng(seed)
    if dtype == "S1":
        return generator.integers(32, 127, shape, np.uint8).view("S1")
    if dtype in ("f4", "f8"):
        return generator.standard_normal(shape).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def make(path, form, dimensions, variables, attributes=None, *, fill=None):
    """Write a file with the netCDF library.

    `dimensions` maps names to lengths, None for the record dimension; `variables` maps names
    to pairs of a dtype and a tuple of dimension names; returns the values by name.
    """
    written = {}
    with netCDF4.Dataset(path, "w", format=form) as dataset:
        dataset.set_fill_off()
        for name, length in dimensions.items():
            dataset.createDimension(name, None if isinstance(length, list) else length)
        for name, (dtype, axes) in variables.items():
            created = dataset.createVariable(name, dtype, axes, fill_value=(fill or {}).get(name))
            created.set_auto_maskandscale(False)
            created.set_auto_chartostring(False)
        for name, (dtype, axes) in variables.items():
            shape = tuple(n[0] if isinstance(n := dimensions[axis], list) else n for axis in axes)
            written[name] = values(shape, dtype, len(written))
            if 0 not in shape:
                dataset[name][...] = written[name]
        for name, value in (attributes or {}).items():
            dataset.setncattr(name, value)
    return written


@dataclass
class Builder:
    """A header written field by field, so that any field can be wrong."""

    version: int = 1
    records: int = 0
    dimensions: list = field(default_factory=list)
    attributes: list = field(default_factory=list)
    variables: list = field(default_factory=list)

    def count(self, number):
        return struct.pack(">Q" if self.version == 5 else ">I", number)

    def name(self, name):
        raw = name if isinstance(name, bytes) else name.encode()
        return self.count(len(raw)) + raw + b"\0" * (-len(raw) % 4)

    def listed(self, tag, members):
        if not members:
            return struct.pack(">I", 0) + self.count(0)
        return struct.pack(">I", tag) + self.count(len(members)) + b"".join(members)

    def attribute(self, name, code, count, raw):
        padded = raw + b"\0" * (-len(raw) % 4)
        return self.name(name) + struct.pack(">I", code) + self.count(count) + padded

    def variable(self, name, ids, code, begin, *rest):
        vsize, attributes = (*rest, *(0, ())[len(rest) :])
        offset = struct.pack(">I" if self.version == 1 else ">Q", begin)
        return b"".join(
            (
                self.name(name),
                self.count(len(ids)),
                *(self.count(number) for number in ids),
                self.listed(12, [self.attribute(*one) for one in attributes]),
                struct.pack(">I", code),
                self.count(vsize),
                offset,
            )
        )

    def header(self):
        return b"".join(
            (
                b"CDF" + bytes([self.version]),
                self.count(self.records),
                self.listed(10, [self.name(name) + self.count(n) for name, n in self.dimensions]),
                self.listed(12, [self.attribute(*one) for one in self.attributes]),
                self.listed(11, [self.variable(*one) for one in self.variables]),
            )
        )

    def write(self, path, data=b""):
        path.write_bytes(self.header() + data)
        return path
