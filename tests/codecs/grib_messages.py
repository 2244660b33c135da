"""GRIB messages for tests: written by ecCodes, put together by hand, and taken apart."""

from __future__ import annotations

import struct

import eccodes as ec
import numpy as np

SAMPLES = {1: "regular_ll_sfc_grib1", 2: "regular_ll_sfc_grib2"}


def message(values, packing=None, bits=None, *, edition=2, decimal=None, keys=()):
    """Let ecCodes pack a 2-D array; NaN become gaps of a bitmap."""
    handle = ec.codes_grib_new_from_samples(SAMPLES[edition])
    try:
        rows, columns = values.shape
        ec.codes_set(handle, "Ni", columns)
        ec.codes_set(handle, "Nj", rows)
        for key, value in dict(keys).items():
            ec.codes_set(handle, key, value)
        if np.isnan(values).any():
            ec.codes_set(handle, "missingValue", 1e20)
            ec.codes_set(handle, "bitmapPresent", 1)
        if bits is not None:
            ec.codes_set(handle, "bitsPerValue", bits)
        if packing:
            ec.codes_set(handle, "packingType", packing)
        if decimal is not None:
            ec.codes_set(handle, "decimalScaleFactor", decimal)
        ec.codes_set_values(handle, np.where(np.isnan(values), 1e20, values).ravel())
        return ec.codes_get_message(handle)
    finally:
        ec.codes_release(handle)


def native(data, *keys):
    """Return what ecCodes reads, gaps as NaN; with keys, those instead."""
    handle = ec.codes_new_from_message(bytes(data))
    try:
        if keys:
            return tuple(ec.codes_get(handle, key) for key in keys)
        ec.codes_set_double(handle, "missingValue", float("nan"))
        return ec.codes_get_values(handle)
    finally:
        ec.codes_release(handle)


def points(data):
    """Return latitudes and longitudes that ecCodes tells."""
    handle = ec.codes_new_from_message(bytes(data))
    try:
        return tuple(ec.codes_get_array(handle, name) for name in ("latitudes", "longitudes"))
    finally:
        ec.codes_release(handle)


def sections(data):
    """Take a message of edition 2 apart: a list of sections 1 to 7."""
    found, position = [], 16
    while position < len(data) - 4:
        (length,) = struct.unpack_from(">I", data, position)
        found.append(bytes(data[position : position + length]))
        position += length
    return found


def grid_section(data):
    """Return edition and grid definition section of a message."""
    if data[7] == 2:
        return 2, next(part for part in sections(data) if part[4] == 3)
    start = 8 + int.from_bytes(data[8:11], "big")
    assert data[15] & 0x80
    return 1, bytes(data[start : start + int.from_bytes(data[start : start + 3], "big")])


def join(parts):
    """Put sections of edition 2 together."""
    length = 20 + sum(map(len, parts))
    head = b"GRIB\xff\xff\x00\x02" + struct.pack(">Q", length)
    return head + b"".join(parts) + b"7777"


def section(number, body):
    return struct.pack(">IB", 5 + len(body), number) + body


def packed(integers, width):
    """Pack unsigned integers without gaps, and fill the last byte."""
    integers = np.asarray(integers, np.uint64)
    if not width or not integers.size:
        return b""
    bits = integers[:, None] >> np.arange(width - 1, -1, -1, dtype=np.uint64) & np.uint64(1)
    return np.packbits(bits.astype(np.uint8)).tobytes()


def signed(number, size):
    sign = 1 << (8 * size - 1)
    return (abs(number) | (sign if number < 0 else 0)).to_bytes(size, "big")


def complex_sections(integers, missing, *, order=0, management=0, lengths=None, scale=(1.5, -2, 1)):
    """Write sections 5 and 7 of complex packing (templates 5.2 and 5.3).

    `missing` is 0, 1 or 2 for each integer: there, primary or secondary substitute.
    """
    integers, missing = np.asarray(integers, np.int64), np.asarray(missing)
    there = integers[missing == 0]
    first, least, numbers = [], 0, there.copy()
    if order:
        first = there[:order].tolist()
        differences = np.diff(there, order)
        least = int(differences.min(initial=0))
        numbers[order:] = differences - least
        numbers[:order] = 0
    whole = np.zeros(integers.size, np.int64)
    whole[missing == 0] = numbers
    lengths = [integers.size] if lengths is None else lengths
    references, widths, bodies, start = [], [], [], 0
    for length in lengths:
        part, gone = whole[start : start + length], missing[start : start + length]
        start += length
        reference, width = _group(part, gone, management, bodies)
        references.append(reference)
        widths.append(width)
    # Substitutes of groups without bits are all ones in the width of references.
    wide = max([1, *(int(value).bit_length() + 2 for value in references if value >= 0)])
    references = [value if value >= 0 else (1 << wide) + value for value in references]
    low, short = min(widths), min(lengths)
    spread = max(1, (max(widths) - low).bit_length())
    span = max(1, (max(lengths) - short).bit_length())
    octets = max(1, *((abs(int(value)).bit_length() + 8) // 8 for value in [*first, least]), 2)
    body = struct.pack(">IHf", integers.size, 3 if order else 2, scale[0])
    body += signed(scale[1], 2) + signed(scale[2], 2) + bytes([wide, 0, 1, management])
    body += struct.pack(">IIIBBIBIB", 0, 0, len(lengths), low, spread, short, 1, lengths[-1], span)
    data = b""
    if order:
        body += bytes([order, octets])
        data = b"".join(signed(int(value), octets) for value in [*first, least])
    data += packed(references, wide) + packed(np.array(widths) - low, spread)
    data += packed(np.array(lengths) - short, span)
    bits = np.concatenate([_bits(*part) for part in bodies])
    return section(5, body), section(7, data + np.packbits(bits).tobytes())


def group_sections(groups, *, reference_bits, order=0, management=0, spare=(0, 1), first=()):
    """Write sections 5 and 7 of complex packing from its groups as they are.

    `groups` are (reference, width, codes); `spare` is the reference of lengths and their
    increment; `first` the first values and what is added to each difference.
    """
    count = sum(len(codes) for *_, codes in groups)
    references, widths, codes = zip(*groups, strict=True)
    lengths = np.array([len(part) for part in codes])
    low, (short, increment) = min(widths), spare
    spread = (max(widths) - low).bit_length()
    scaled = (lengths - short) // increment
    span = int(scaled.max()).bit_length()
    body = struct.pack(">IHf", count, 3 if order else 2, 1.5) + signed(-2, 2) + signed(1, 2)
    body += bytes([reference_bits, 0, 1, management])
    body += struct.pack(
        ">IIIBBIBIB", 0, 0, len(groups), low, spread, short, increment, lengths[-1], span
    )
    body += bytes([order, 3]) if order else b""
    data = b"".join(signed(int(value), 3) for value in first) if order else b""
    data += packed(references, reference_bits) + packed(np.array(widths) - low, spread)
    data += packed(scaled, span)
    bits = [_bits(part, width) for part, width in zip(codes, widths, strict=True)]
    return section(5, body), section(7, data + np.packbits(np.concatenate(bits)).tobytes())


def _group(part, gone, management, bodies):
    if (gone == gone[0]).all() and (gone[0] or (part == part[0]).all()):
        bodies.append((part, 0))
        return (-int(gone[0]) if gone[0] else int(part[0])), 0
    reference = int(part[gone == 0].min(initial=part.max()))
    codes = part - reference
    width = max(1, int(codes[gone == 0].max(initial=0) + management).bit_length())
    codes = np.where(gone == 0, codes, (1 << width) - gone)
    bodies.append((codes, width))
    return reference, width


def _bits(codes, width):
    shifts = np.arange(width - 1, -1, -1, dtype=np.int64)
    return (np.asarray(codes, np.int64)[:, None] >> shifts & 1).astype(np.uint8).ravel()


def row_section(count):
    """A section 3 of one row of points."""
    body = struct.pack(">BIBBH", 0, count, 0, 0, 0) + bytes([6, *[255] * 15])
    body += struct.pack(">II", count, 1) + bytes(34)
    return section(3, body)


def template_message(count, packing, data, bitmap=None):
    """A message with the given sections 5 and 7."""
    first = sections(message(np.zeros((1, 2))))
    indicator = section(6, b"\xff") if bitmap is None else section(6, b"\0" + bitmap)
    return join([first[0], row_section(count), first[2], packing, indicator, data])
