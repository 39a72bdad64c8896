"""Families of nets: a module for each, by the family's name, with its shape as `SHAPE`.

The fields that a schedule may give are declared in dmtsearch/schedule/model.py, which needs no
torch.
"""

from collections.abc import Mapping

from ...rows import modules_of
from ..shape import Shape

FAMILIES: Mapping[str, type[Shape]] = {
    name: module.SHAPE for name, module in modules_of(__name__).items()
}
