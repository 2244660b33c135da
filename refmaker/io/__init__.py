"""Bytes of one file anywhere, by ranges, under one policy.

``source``
    A file to scan: its size, ranges of it, a fingerprint.
``block_cache``
    Blocks of a remote file, read ahead and kept.
``remote_file``, ``http_ranges``, ``http_client``, ``targets``
    Ranges of remote files, with retries.
``local_file``
    Ranges of local files.
``policy``
    What a document may make a reader fetch, by where the document came from.
``integrity``
    Whether what came is what was scanned.
``disk_cache``
    Chunks kept on local disk.
``first_bytes``
    The beginnings of many files, from which formats are told.
``related_files``
    Other files that a file names.
``inputs``
    Files that a user names: patterns, folders, lists.
``files``, ``folders``
    Whole files and folders: read from anywhere, written atomically.
"""
