"""``python -m refmaker``: the same as the command ``refmaker``."""

from refmaker.cli import main

if __name__ == "__main__":
    main(prog_name="refmaker")
