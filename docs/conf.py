"""How Sphinx builds the documentation: `make docs`, without a network."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the extension `reference` lies beside this file

project = "dmtsearch"
author = "the dmtsearch authors"
release = version = version_of("dmtsearch")

extensions = ["myst_parser", "reference"]
source_suffix = {".md": "markdown"}
exclude_patterns: list[str] = []
nitpicky = True
myst_heading_anchors = 3

html_theme = "furo"  # brings its own styles and scripts: pages are read without a network
html_title = f"dmtsearch {release}"
html_copy_source = False
html_show_sphinx = False
