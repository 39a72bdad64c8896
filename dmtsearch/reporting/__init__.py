"""From a run folder to a page: what it says (data), figures (drawing), pages (templates).

Importing and rendering need neither torch nor ray; Optuna's importance needs optuna.
"""

from .adjusted_effects import gather_adjusted as gather_adjusted
from .agreement import compare_answers as compare_answers
from .answer import answer as answer
from .best_schedule import best_trial as best_trial
from .canvas import draw as draw
from .caveats import caveats as caveats
from .caveats import gather_fixed as gather_fixed
from .chain_diagram import Box as Box
from .chain_diagram import Chain as Chain
from .chain_diagram import Link as Link
from .chain_diagram import draw_chain as draw_chain
from .chain_diagram import gather_chain as gather_chain
from .chain_diagram import weak_sources as weak_sources
from .compared_runs import ComparedRuns as ComparedRuns
from .compared_runs import compare_runs as compare_runs
from .confirmation import gather_confirmation as gather_confirmation
from .failures import gather_failures as gather_failures
from .findings import Summary as Summary
from .findings import summarize as summarize
from .hole_effects import gather_holes as gather_holes
from .importance import MIN_TRIALS as MIN_TRIALS
from .importance import gather_importance as gather_importance
from .kept_epoch import kept_epoch_words as kept_epoch_words
from .learning_curves import gather_curves as gather_curves
from .measures import difference as difference
from .measures import measure_of as measure_of
from .measures import short as short
from .measures import show as show
from .noise import residual_sd as residual_sd
from .pareto import Point as Point
from .pareto import draw_points as draw_points
from .pareto import front_of as front_of
from .pareto import pareto_set as pareto_set
from .provenance import flatten as flatten
from .provenance import provenance as provenance
from .report import Report as Report
from .report import write_report as write_report
from .run_record import RunRecord as RunRecord
from .run_record import parse_heading as parse_heading
from .run_record import read_run as read_run
from .selector_figures import draw_accuracy as draw_accuracy
from .selector_figures import draw_selection as draw_selection
from .selector_results import SelectorResults as SelectorResults
from .selector_results import best_of as best_of
from .selector_results import family as family
from .selector_section import build_words as build_words
from .selector_section import instead_words as instead_words
from .selector_section import minus_words as minus_words
from .spread import spread as spread
