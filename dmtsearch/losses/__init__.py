"""What disagreement costs: pure functions of tensors, one value per sample, in float32."""

from .hard import hard_loss as hard_loss
from .hints import HINT_LOSSES as HINT_LOSSES
from .hints.attention import attention_loss as attention_loss
from .hints.mse import mse_loss as mse_loss
from .hints.mse import tap_mean_square as tap_mean_square
from .inputs import standardise as standardise
from .merit import MERIT_RULES as MERIT_RULES
from .merit import merit_weights as merit_weights
from .placebo import PLACEBOS as PLACEBOS
from .placebo import matched_mean as matched_mean
from .placebo import place_merit as place_merit
from .placebo import shuffled as shuffled
from .several import COMBINES as COMBINES
from .several import combine_soft as combine_soft
from .several import drop_mask as drop_mask
from .soft import SOFT_LOSSES as SOFT_LOSSES
from .soft.dist import dist_loss as dist_loss
from .soft.dkd import dkd_loss as dkd_loss
from .soft.kl import kl_loss as kl_loss
