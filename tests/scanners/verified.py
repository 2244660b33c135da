"""What scans of whole files are checked with."""

import refmaker


def verified(path, **options):
    """Return a set of a file that `verify` has found equal to its own library, all of it."""
    refs = refmaker.scan(path, isolate="never", **options)
    for check in refmaker.verify(refs, sample=None, isolate="never"):
        assert check.ok, (check.path, check.reason)
    return refs
