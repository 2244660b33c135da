"""Names of HDF5 filters by id, as registered with The HDF Group."""

from __future__ import annotations

__all__ = ["FILTER_NAMES", "IDENTITY_ON_READ", "PLUGIN_FILTERS", "describe_filter", "remedy"]

#: Built-in filters (1..6) and those of the public filter registry.
FILTER_NAMES: dict[int, str] = {
    1: "deflate",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    305: "LZO",
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32002: "MAFISC",
    32003: "Snappy",
    32004: "LZ4",
    32005: "APAX",
    32006: "CBF",
    32007: "JPEG-XR",
    32008: "bitshuffle",
    32009: "SPDP",
    32010: "LPC-Rice",
    32011: "CCSDS-123",
    32012: "JPEG-LS",
    32013: "ZFP",
    32014: "fpzip",
    32015: "Zstandard",
    32016: "B3D",
    32017: "SZ",
    32018: "FCIDECOMP",
    32019: "JPEG",
    32020: "VBZ",
    32021: "FAPEC",
    32022: "BitGroom",
    32023: "Granular BitRound",
    32024: "SZ3",
    32025: "Delta-Rice",
    32026: "Blosc2",
    32027: "FLAC",
    32028: "SPERR",
    32033: "HTJ2K",
}

#: Filters that change values when writing and nothing when reading (quantisation).
IDENTITY_ON_READ = frozenset({32022, 32023})

#: Filters for which the package hdf5plugin brings the HDF5 plugin.
PLUGIN_FILTERS = frozenset(
    {307, 32001, 32004, 32008, 32013, 32015, 32017, 32018, 32024, 32026, 32028, 32033}
)


def describe_filter(filter_id: int, name: str = "") -> str:
    """Return a filter's name and id for messages; `name` is what the file itself says."""
    known = FILTER_NAMES.get(filter_id) or name.strip() or "without a registered name"
    return f"{known} (HDF5 filter {filter_id})"


def remedy(filter_id: int) -> str:
    """Return what a user can do to have HDF5 read data written with a filter."""
    if filter_id in PLUGIN_FILTERS:
        return "install the package hdf5plugin, or set HDF5_PLUGIN_PATH to a folder with the plugin"
    return (
        "set HDF5_PLUGIN_PATH to a folder with the filter's plugin, or rewrite the file with "
        "h5repack on a machine that has it; the package hdf5plugin does not contain this filter"
    )
