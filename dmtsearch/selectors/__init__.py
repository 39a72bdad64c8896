"""CHOOSE between classifiers, sample by sample: selector nets, fusion rules, and their scores."""

from . import fusion_rules as fusion_rules
from .decision import decide as decide
from .decision import select_modality as select_modality
from .decision import targets_of as targets_of
from .degraded_outputs import DRAWS as DRAWS
from .degraded_outputs import SEVERITIES as SEVERITIES
from .degraded_outputs import SweepCondition as SweepCondition
from .degraded_outputs import SweepOutputs as SweepOutputs
from .degraded_outputs import draw_outputs as draw_outputs
from .degraded_outputs import falls_on as falls_on
from .degraded_outputs import list_conditions as list_conditions
from .degraded_outputs import logits_of as logits_of
from .degraded_outputs import sweep_outputs as sweep_outputs
from .features import moments_of as moments_of
from .features import selector_features as selector_features
from .features import selector_inputs as selector_inputs
from .fusion_rules import unfitted_rules as unfitted_rules
from .metrics import average as average
from .metrics import count_oracle as count_oracle
from .metrics import count_sweep as count_sweep
from .metrics import difference_interval as difference_interval
from .metrics import mean_interval as mean_interval
from .metrics import score_methods as score_methods
from .selector_stage import SelectorKind as SelectorKind
