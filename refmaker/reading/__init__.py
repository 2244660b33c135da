"""Reading through references: safe, lazy, with few requests.

``references``
    References held as columns: one key is looked up without expanding anything.
``document``
    JSON of all versions, compressed or not, to references.
``rows``
    The rows of large documents, parsed in bulk.
``generated``
    References that rules describe, in windows that can be read ahead.
``records``
    kerchunk Parquet, read record by record when a key is asked for.
``planner``
    Concurrent requests gathered, merged, issued and split again.
``codec_pipeline``
    How Zarr decodes chunks: bounded, with errors that say where.
``reader``
    All of these together: from a key to its bytes.
``opened``
    The documents that this process has open.
``filesystem``, ``store``, ``backend``
    The reader as an fsspec filesystem, as a Zarr store and as an xarray engine.
"""
