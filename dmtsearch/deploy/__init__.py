"""NOW USE IT: check, train and evaluate one schedule without a search; the model bundle."""

from .cache_miss import why_new as why_new
from .export_check import compare as compare
from .export_formats import FORMATS as FORMATS
from .folder import claim_folder as claim_folder
from .training import Watch as Watch
