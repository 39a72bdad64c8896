"""What a trained model is delivered as: a folder that is loaded, checked, scored and exported."""

from .bundle import write_bundle as write_bundle
from .history import HISTORY_COLUMNS as HISTORY_COLUMNS
from .history import read_history as read_history
from .single_model import Bundle as Bundle
