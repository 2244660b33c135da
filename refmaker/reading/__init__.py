"""Reading through references: safe, lazy, with few requests.

``open``
    Stores, groups and datasets, for users.
``reader``
    From a key to its bytes; the documents that this process has open.
``planner``
    Concurrent requests gathered, merged, issued and split again.
``lazy_parquet``
    kerchunk Parquet, read record by record when a key is asked for.
``rewritten_chunks``
    Chunks whose bytes say more than values, which no cache keeps.
``outgoing``
    What of a set a server hands on.
``filesystem``, ``store``, ``xarray_store``, ``backend``
    The reader as an fsspec filesystem, as a Zarr store with bounded decoding, and as an xarray
    engine.
"""
