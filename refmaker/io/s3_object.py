"""Objects of S3, whose answer to the first range describes them as well, as HTTP's does."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from refmaker.model.report import Fingerprint

__all__ = ["ObjectRange", "read_object"]

log = logging.getLogger(__name__)


class ObjectRange(NamedTuple):
    """Bytes of an object, and how it looked when they were read."""

    found: Fingerprint
    data: bytes


async def read_object(fs: Any, name: str, start: int, length: int) -> ObjectRange | None:
    """Return bytes of an object and its description, for one request.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
        That of the object.
    name : str
        The object, without its protocol.
    start, length : int
        First byte, and how many; fewer where the object ends.

    Returns
    -------
    ObjectRange or None
        None if that is no object of S3, or the request fails: who then asks in another way is
        told why. What may pass the client has tried again.
    """
    if not hasattr(fs, "_call_s3"):
        return None
    try:
        bucket, key, version = fs.split_path(name)
        which = {} if version is None else {"VersionId": version}
        # Nothing public gives the answer's headers.
        span = f"bytes={start}-{start + length - 1}"
        call = fs._call_s3  # noqa: SLF001
        answer = await call("get_object", Bucket=bucket, Key=key, Range=span, **which)
        async with answer["Body"] as body:
            data = await body.read()
        size = int(str(answer["ContentRange"]).rpartition("/")[2])
        etag, modified = str(answer["ETag"]).strip('"'), answer["LastModified"].timestamp()
    except Exception as error:  # noqa: BLE001 - stores raise what they like
        log.debug("%s: %s", name, type(error).__name__)
        return None
    if len(data) != min(size - start, length):
        return None
    return ObjectRange(Fingerprint(size, modified, etag), data)
