"""What each reader makes of each set as it is given: all cells that are not equal values.

``e`` is an error, ``W`` silently other values. A cell that changes is news: the table of readers,
`refmaker.storage.readers`, and ``docs/readers.md`` say the same.
"""

from __future__ import annotations


def cells(text):
    """Return the cells of ``kind: name name ...`` by name."""
    found = {}
    for line in text.strip().splitlines():
        kind, _, names = line.strip().partition(": ")
        found.update(dict.fromkeys(names.split(), kind))
    return found


_FOREIGN_CODECS = "codec_imagecodecs codec_refmaker"
_RECORDS = "record_big record_nested record_packed record_padded record_subarray"
_NOT_PLAIN = "templates templates_empty templates_unused gen_empty"
_ZARR = "e: path_relative record_subarray"

EXPECTED = {
    "fsspec": cells(_ZARR),
    "zarrs": cells(_ZARR),
    "kerchunk": cells(f"{_ZARR} slashes"),
    "virtualizarr": cells(
        f"""
        e: {_FOREIGN_CODECS} documents_base64 documents_objects no_dimensions path_relative
        e: record_nested record_subarray scalar_absent templates version0
        e: type_O_empty type_O_null type_O_zero type_complex_filled
        W: absent_null order_F
        """
    ),
    "virtualizarr_xarray": cells(
        f"""
        e: {_FOREIGN_CODECS} documents_base64 documents_objects no_dimensions path_relative
        e: record_nested record_subarray scalar_absent templates version0
        e: type_O_empty type_O_null type_O_zero type_S_marked type_complex_filled
        e: absent_differs fill_NaN_bare fill_NaN_text fill_null_bare fill_null_inexact_number
        e: fill_null_number fill_null_single fill_null_text fill_number_number
        e: i2_null_double i2_null_list i2_null_text
        """
    ),
    "gdal": cells(
        f"""
        e: codec_all_in_filters codec_bz2 codec_fletcher32 codec_fletcher32_first
        e: codec_imagecodecs codec_incompressible_in_filters codec_lz4 codec_quantize
        e: codec_refmaker codec_scaleoffset {_NOT_PLAIN} empty fill_nan_lower foreign_behind
        e: {_RECORDS} scalar scalar_absent scalar_inlined
        e: type_M8 type_m8 type_O_empty type_O_null type_O_zero type_S type_S_marked type_U type_V
        e: absent_M8_null absent_S_null absent_U_null type_complex_filled
        """
    ),
    "gdal_by_name": cells(f"e: {_NOT_PLAIN} foreign_before foreign_behind"),
    "tensorstore": cells(
        f"""
        e: codec_all_in_filters codec_delta codec_fletcher32 codec_fletcher32_first
        e: codec_imagecodecs codec_incompressible_in_filters codec_lz4 codec_lzma codec_quantize
        e: codec_refmaker codec_scaleoffset codec_shuffle_zlib fill_nan_lower path_relative
        e: {_RECORDS} type_M8 type_m8 type_O_empty type_O_null type_O_zero type_U
        e: absent_M8_null absent_U_null
        W: type_S type_S_marked type_V absent_S_null
        """
    ),
    "zarrita": cells(
        f"""
        e: codec_bz2 codec_fletcher32 codec_fletcher32_first codec_lzma codec_quantize
        e: {_FOREIGN_CODECS} documents_objects empty fill_NaN_bare fill_null_bare
        e: path_bare path_relative {_RECORDS} whole_file
        e: type_M8 type_m8 type_V type_complex type_complex_filled type_f2
        e: absent_M8_null absent_U_null absent_complex_null
        W: absent_S_null
        """
    ),
}
