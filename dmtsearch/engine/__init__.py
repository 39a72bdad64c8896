"""WHICH schedule next, and WHERE its stages run. Importing it pulls in neither ray nor torch."""

from dmtsearch.lazy import names_of

__getattr__, __dir__ = names_of(__name__, __file__)
