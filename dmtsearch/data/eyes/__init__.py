"""Eyes that are drawn, not photographed: the data set `synthetic_eyes`."""

from .synthetic import DATASETS as DATASETS
from .synthetic import read_eyes as read_eyes
