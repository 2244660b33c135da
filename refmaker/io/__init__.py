"""Bytes of one file anywhere, by ranges, under one policy.

``source``
    A file to scan: its size, ranges of it, a fingerprint.
``block_cache``
    Blocks of a remote file, read ahead and kept.
``local_file``, ``remote_file``, ``http_client``
    Ranges of files: the one client of each protocol, for scanning and reading.
``retries``
    When to ask again, and how much at a time.
``policy``, ``hosts``
    What a document may make a reader fetch, by where it came from; which hosts are this machine.
``disk_cache``
    Chunks kept on local disk.
``first_bytes``
    The beginnings of many files, from which formats are told.
``many_files``
    Ranges of many files, read side by side.
``stores``, ``listing``
    Folders that are one object, such as Zarr stores, and what lies below a folder.
``h5py_file``
    A file in the hands of h5py.
``related_files``
    Other files that a file names.
``inputs``
    Files that a user names: patterns, folders, lists.
``files``, ``folders``, ``file_batch``
    Whole files and folders: read from anywhere, written atomically; many files at a time.
"""
