"""RUN one stage: build, sources, loop, switch rules, evaluation, checkpoint; no store, no Ray."""

from dmtsearch.lazy import names_of

__getattr__, __dir__ = names_of(__name__, __file__)
