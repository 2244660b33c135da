"""Reference sets on disk.

``reference_set``
    The reference set as a user holds it: written, read, its URLs rewritten.
``formats``
    The forms, and how they are told apart.
``form_readers``
    Each form, read back as a whole.
``json_parser``, ``json_windows``, ``reference_columns``, ``reference_index``, ``json_writer``
    kerchunk JSON: written as version 1, read as versions 0 and 1, with and without rules.
``compact``, ``generated``
    JSON with rules instead of references; what rules make, as columns.
``parquet``, ``parquet_reader``
    Folders of Parquet files, as stock fsspec reads them lazily.
``icechunk``, ``icechunk_stores``
    Icechunk repositories, written only.
``rewrite``
    Other URLs: new prefixes, paths relative to the set.
``tree``
    Metadata documents back to groups and arrays.
``text``
    Columns of numbers to JSON text, in bulk.
``files``, ``folders``
    Whole files and folders: read from anywhere, written atomically.
"""
