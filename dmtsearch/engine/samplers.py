"""Optuna's samplers, made for each draw from a seed, so that a resume draws the same."""

import hashlib
import warnings
from collections.abc import Callable

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from .own_sampler import find_sampler, is_own

POPULATION = 16
"""Of nsga2. Optuna's own 50 would leave a search of 40 trials in its first, random generation."""
STARTUP = 10
"""Trials before tpe and gp rely on what they saw; until then they draw at random."""


def draw_seed(seed: int, index: int, redraw: int) -> int:
    """Return the 32-bit seed of a draw: it depends on nothing but its arguments.

    Args:
        seed: Of the search.
        index: Of the trial among the search's own, from 0.
        redraw: Draws for this trial that were not tried.
    """
    text = f"{seed}/propose/{index}/{redraw}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return a fresh sampler: a row of `SAMPLERS`, or what a user's `module:function` makes.

    `grid` draws nothing: what it tries is enumerated elsewhere.

    Raises:
        UsageError, ModelError: A user's function cannot be found, raises, or gives no sampler.
    """
    if is_own(name):
        return find_sampler(name)(seed)
    with warnings.catch_warnings():
        # `group` is what conditional holes need; that it may change is Optuna's caveat.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](seed)


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(
        multivariate=True,
        group=True,
        constant_liar=True,
        n_startup_trials=STARTUP,
        seed=seed,
    )


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _gp(seed: int) -> BaseSampler:
    return GPSampler(seed=seed, warn_independent_sampling=False, n_startup_trials=STARTUP)


def _nsga2(seed: int) -> BaseSampler:
    return NSGAIISampler(population_size=POPULATION, seed=seed)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "random": _random,
    "grid": _random,
    "nsga2": _nsga2,
    "gp": _gp,
}
