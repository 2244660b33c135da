"""Stripe files: a scanner of refmaker's, and the codec that decodes their chunks.

A stripe file is one image of 16-bit samples, cut into stripes of rows. It starts with
``b"STRIPES1"`` and four little-endian numbers of 32 bits: rows, columns, rows of a stripe, and
whether samples are differences from the one before (1) or plain (0). A table of offset and length
of each stripe follows, in 64 bits each; an offset of 0 is a stripe that was never written.
"""
