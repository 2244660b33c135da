"""From files to groups, arrays and a report.

``protocol``
    What a scanner is, and how one is found.
``one_file``
    Scanning one file, in this process or in a worker.
``multi_file``
    Scanning files that form one object together.
``task``, ``pool``, ``many_files``
    Scanning many files, each on its own.
``raw_data``, ``compressed_file``, ``pixel_grid``
    What scanners share: blocks of raw numbers, files compressed as a whole, pixels on a map.
``key_store``, ``chunk_keys``
    Chunks that are values of keys, in folders.
``cache``, ``serialized``
    Results of earlier scans.
"""
