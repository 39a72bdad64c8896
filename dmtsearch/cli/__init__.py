"""The command line: parse, call one function, print."""

from dmtsearch.lazy import names_of

__getattr__, __dir__ = names_of(__name__, __file__)
