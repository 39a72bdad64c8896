"""What disagreement costs: pure functions of tensors, one value per sample, in float32."""

from .attention import attention_loss as attention_loss
from .dist import dist_loss as dist_loss
from .dkd import dkd_loss as dkd_loss
from .hard import hard_loss as hard_loss
from .hint import HINT_SCALES as HINT_SCALES
from .hint import hint_loss as hint_loss
from .hint import tap_mean_square as tap_mean_square
from .merit import MERIT_RULES as MERIT_RULES
from .merit import merit_weights as merit_weights
from .placebo import PLACEBOS as PLACEBOS
from .placebo import matched_mean as matched_mean
from .placebo import place_merit as place_merit
from .placebo import shuffled as shuffled
from .rows import HINT_LOSSES as HINT_LOSSES
from .rows import SOFT_LOSSES as SOFT_LOSSES
from .soft import soft_loss as soft_loss
from .soft import standardise as standardise
from .soft import weight_from_mean_units as weight_from_mean_units
from .soft import weight_to_mean_units as weight_to_mean_units
from .sources import COMBINES as COMBINES
from .sources import combine_soft as combine_soft
from .sources import drop_mask as drop_mask
