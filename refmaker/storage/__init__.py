"""Reference sets on disk.

``reference_set``
    The reference set as a user holds it, and the choice of a storage format.
``json``
    kerchunk JSON: written as version 1, read as versions 0 and 1.
``text``
    Columns of numbers to JSON text, in bulk.
``files``
    Whole files: read from anywhere, written atomically.
"""
