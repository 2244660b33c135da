"""The JavaScript library zarrita, where npm and Node.js are installed."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = ("zarrita@0.7.5", "@zarrita/storage@0.2.0")


@functools.cache
def zarrita_folder():
    """Return where zarrita is installed for this run; None where npm cannot."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="zarrita-"))
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", *PACKAGES]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    except (subprocess.SubprocessError, OSError):
        shutil.rmtree(folder)
        return None
    shutil.copy(HERE / "read_zarrita.mjs", folder)
    return folder


def remove():
    """Remove the folder, if there is one."""
    folder = zarrita_folder()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    zarrita_folder.cache_clear()
