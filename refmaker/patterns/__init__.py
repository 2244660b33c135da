"""Cubes of many files that are named by a pattern, without scanning them.

``url_pattern``
    The pattern: text with fields such as ``{run:%Y%m%d}``.
``values``
    The values that a field takes, and the coordinate that they become.
``cube``
    One scanned file, repeated over all values.
``samples``
    Which files are there, and whether some of them are what is assumed.
``whole_file``
    The codec ``refmaker.file``: a file's bytes in, a variable's values out.
"""
