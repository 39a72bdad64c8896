"""WHICH schedule next, and WHERE its stages run. Importing it pulls in neither ray nor torch.

`dmtsearch.search("space.yaml", trials=40)` runs a search, as `dmtsearch.api.search` says it.
"""

from dmtsearch.rooms import make_callable

make_callable(__name__)
