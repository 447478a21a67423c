"""``python -m cifar_dist``; ``msrun .../cifar_dist/__main__.py`` runs the file itself."""

import sys
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: its folder stands first on the path, where our data/ and config/ would be
    # taken for top-level packages.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from cifar_dist.cli import main

if __name__ == "__main__":
    sys.exit(main())
