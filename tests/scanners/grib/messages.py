"""Messages made by ecCodes, and what ecCodes says of those in a file."""

from __future__ import annotations

import eccodes
import numpy as np

GRID = {
    "Ni": 12,
    "Nj": 7,
    "latitudeOfFirstGridPointInDegrees": 90,
    "latitudeOfLastGridPointInDegrees": -90,
    "longitudeOfFirstGridPointInDegrees": 0,
    "longitudeOfLastGridPointInDegrees": 330,
    "iDirectionIncrementInDegrees": 30,
    "jDirectionIncrementInDegrees": 30,
}
SAMPLES = {1: "regular_ll_pl_grib1", 2: "regular_ll_pl_grib2"}


def message(edition=2, values=None, *, seed=0, sample=None, **keys):
    """Return one message of a small regular grid; `keys` are set in the order given."""
    handle = eccodes.codes_grib_new_from_samples(sample or SAMPLES[edition])
    try:
        for key, value in {**({} if sample else GRID), **keys}.items():
            eccodes.codes_set(handle, key, value)
        if values is None:
            # ecCodes counts the points anew only when it is given values.
            count = eccodes.codes_get(handle, "numberOfDataPoints") if sample else 84
            values = np.random.default_rng(seed).normal(280, 10, count)
        eccodes.codes_set_values(handle, values)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def sections(data):
    """Return the sections 1 to 7 of a message of edition 2, in order."""
    found, at = [], 16
    while at < len(data) - 4:
        length = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at : at + length])
        at += length
    return found


def joined(*messages):
    """Return one message of edition 2 that holds the fields of several, which share a grid."""
    body = b"".join(sections(messages[0]))
    for other in messages[1:]:
        body += b"".join(part for part in sections(other) if part[4] >= 4)
    return messages[0][:8] + (len(body) + 20).to_bytes(8, "big") + body + b"7777"


def fields(path):
    """Yield a handle of each field of a file, several in one message included."""
    with open(path, "rb") as file:
        eccodes.codes_grib_multi_support_on()
        eccodes.codes_grib_multi_support_reset_file(file)
        failures = 0
        try:
            while failures < 1000:
                try:
                    handle = eccodes.codes_grib_new_from_file(file)
                except eccodes.CodesInternalError:
                    failures += 1
                    continue
                if handle is None:
                    return
                yield handle
                eccodes.codes_release(handle)
        finally:
            eccodes.codes_grib_multi_support_off()


def get(handle, key, kind=None):
    """Return a key's value, None where there is none."""
    try:
        return eccodes.codes_get(handle, key, kind)
    except eccodes.CodesInternalError:
        return None


def count(path):
    """Return how many fields ecCodes finds."""
    return sum(1 for _ in fields(path))
