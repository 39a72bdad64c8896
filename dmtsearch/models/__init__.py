"""WHO learns: families, presets, models from outside, sizing, taps, adapters."""

from .adapters import make_adapter as make_adapter
from .adapters import match_maps as match_maps
from .build import build_model as build_model
from .build import build_skeleton as build_skeleton
from .build import check_weights as check_weights
from .canonical import canonical_model as canonical_model
from .describe import describe_model as describe_model
from .layouts import Tap as Tap
from .layouts import channels_first as channels_first
from .layouts import find_tap as find_tap
from .points import find_path as find_path
from .points import list_points as list_points
from .presets import PRESETS as PRESETS
from .probe import count_macs as count_macs
from .probe import count_params as count_params
from .probe import tap_shapes as tap_shapes
from .sizing import resolve_size as resolve_size
from .taps import Taps as Taps
from .weights import load_weights as load_weights
