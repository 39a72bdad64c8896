"""How a selector does against each modality, each selection rule and each fusion rule.

The whole path of one schedule (classifiers and selector) is trained anew with each of some seeds
that no search used; each bundle is scored on the sealed test split over the sweep, kinds that the
selector was not trained on included, as `dmtsearch evaluate` does; each opening is written down
in the bundle. Nothing is chosen by what is found there.

    python benchmarks/selector_study.py FILE --seeds 5 --first-seed 100 --out DIR --store URL

FILE is a schedule, or a search space, whose anchor is then studied. Killed, the same command goes
on: finished stages lie in the store, and a bundle that was scored is not scored again. DIR gets
`study.md` (to read), `study.csv` (a row a seed, condition and method), `differences.csv` (the
selector minus each method in each condition), `means.csv` (the same over severities and kinds),
`schedule.yaml` and figures; what each seed left lies in `DIR/seeds` and is not for publishing.
"""

import argparse
import io
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from selector_study_csv import difference_table, study_table
from selector_study_figures import draw_study
from selector_study_numbers import (
    ORACLE,
    OWN,
    Study,
    differences,
    mean_cells,
    resampler,
    single_cells,
)
from selector_study_page import Made, write_page
from selector_study_reading import RIGHT, SCORES, read_study

import dmtsearch
from dmtsearch.bundles.bundle import OPENINGS, SCHEDULE
from dmtsearch.data.degradations import DEGRADATIONS
from dmtsearch.deploy.evaluating import evaluate_bundle
from dmtsearch.deploy.training import Training
from dmtsearch.errors import DmtSearchError, UsageError
from dmtsearch.files import write_atomic, write_json
from dmtsearch.schedule import Schedule, dump_schedule, expand
from dmtsearch.selectors.degraded_outputs import draw_outputs, sweep_outputs
from dmtsearch.selectors.fusion_rules import Method, fit_rules, oracle
from dmtsearch.selectors.selector_bundle import SelectorBundle
from dmtsearch.selectors.selector_stage import predict_with
from dmtsearch.space import is_space
from dmtsearch.training.profile import computing
from dmtsearch.training.schedule_data import open_schedule_data
from dmtsearch.training.source_outputs import Source


def load_studied(file: Path) -> Schedule:
    """The schedule in a file, or the anchor of the space that is there."""
    return dmtsearch.load_space(file).anchor() if is_space(file) else dmtsearch.load_schedule(file)


def run_seed(schedule: Schedule, folder: Path, seed: int, store: str | None, device: str) -> None:
    """Train the whole path with one seed and score it once; nothing to do where that is done."""
    bundle = folder / "bundle"
    trained = dmtsearch.train(schedule, bundle, seed=seed, store=store, device=device)
    scores = folder / SCORES
    if scores.is_file() and json.loads(scores.read_text())["key"] == trained.delivered.key:
        return
    started = time.monotonic()
    found = evaluate_bundle(bundle, device=device, reason=f"selector_study, seed {seed}")
    answers = answer_sweep(bundle, device)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **answers)
    write_atomic(folder / RIGHT, file.getvalue())
    facts = _facts(trained, seed)
    scored_s = time.monotonic() - started
    # Written last: a seed without it is scored again, and that opening is counted like the others.
    write_json(scores, {**facts, "scored_s": scored_s, "evaluation": found.as_dict()})


def _facts(trained: Training, seed: int) -> dict[str, Any]:
    info = dmtsearch.load_bundle(trained.folder).info
    return {
        "seed": seed,
        "key": info["key"],
        "stage_keys": [stage["key"] for stage in info["stages"]],
        "stage_s": sum(stage["seconds"] for stage in info["stages"]),
        "trained_on": [way["kind"] for way in info["selector"]["select"]["degrade"]],
        "modalities": [part["modality"] for part in info["selector"]["classifiers"]],
        "splits": info["data"]["splits"],
        "params": info["params"],
        "macs": info["macs"],
        "commit": _commit(),
        "device": info["device"],
        "versions": {
            **{name: info["versions"][name] for name in ("dmtsearch", "python", "torch")},
            **{name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
        },
    }


def _commit() -> str:
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def answer_sweep(folder: Path, device: str) -> dict[str, NDArray[Any]]:
    """Which samples each method answers rightly, bool [conditions, N], by the method's name.

    `evaluate` gives means; an interval that resamples samples needs each one. The same functions
    on the same outputs: `read_study` refuses what differs from the means in the last digit.
    """
    bundle = dmtsearch.load_bundle(folder, device=device)
    assert isinstance(bundle, SelectorBundle), "the schedule delivers a selector"
    data = open_schedule_data(dmtsearch.load_schedule(folder / SCHEDULE))
    data.open_test(reason="selector_study: each sample, of the opening that is written down")
    data = data.to(device)
    parts = zip(bundle.modalities, bundle.model.classifiers, bundle.viewers(), strict=True)
    sources = [Source(name, model, viewer) for name, model, viewer in parts]
    select, test, train = bundle.model.select, data.split("test"), data.split("train")
    seen = [way.kind for way in select.degrade]
    with computing(bundle.profile):
        outputs = sweep_outputs(
            sources, test, train, "test", seen, bundle.profile, kinds=DEGRADATIONS
        )
        seed = bundle.info["selector"]["seed"]
        draws = draw_outputs(
            sources, data.split("selector"), train, select.degrade, bundle.profile, seed=seed
        )
        logits, _, labels = draws.rows()
        methods: dict[str, Method] = {
            OWN: lambda given: predict_with(bundle.model.selector, select, given),
            **fit_rules(logits, labels, bundle.modalities).methods,
            ORACLE: lambda given: oracle(given, outputs.labels),
        }
        found: dict[str, NDArray[Any]] = {}
        for name, method in methods.items():
            decided = [
                method(outputs.logits(one)).log_probs.argmax(1) for one in outputs.conditions
            ]
            found[name] = np.stack([(one == outputs.labels).cpu().numpy() for one in decided])
    return {**found, "index": test.index.cpu().numpy()}


def write_study(out: Path, study: Study, facts: Sequence[Mapping[str, Any]], made: Made) -> None:
    """Write tables, figures and text."""
    resample = resampler(len(study.seeds), study.num_samples)
    single = differences(study, single_cells(study.places), resample)
    means = differences(study, mean_cells(study.places), resample)
    write_atomic(out / "study.csv", study_table(study))
    write_atomic(out / "differences.csv", difference_table(single))
    write_atomic(out / "means.csv", difference_table(means))
    figures = draw_study(study, means)
    for figure in figures:
        write_atomic(out / f"{figure.name}.svg", figure.file)
    write_atomic(out / "study.md", write_page(study, means, facts, made, figures))


def study_schedule(schedule: Schedule, args: argparse.Namespace) -> None:
    """Train, score, read and write, as the command line says.

    Raises:
        UsageError: The schedule's own seed is among those asked for: it was chosen with that one.
    """
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    own = expand(schedule).seed
    if own in seeds:
        raise UsageError(
            f"seed {own} is the schedule's own, with which it was chosen; give other seeds: "
            f"--first-seed {own + 1}"
        )
    folders = [args.out / "seeds" / str(seed) for seed in seeds]
    for seed, folder in zip(seeds, folders, strict=True):
        started = time.monotonic()
        run_seed(schedule, folder, seed, args.store, args.device)
        print(f"seed {seed}: {time.monotonic() - started:.0f} s", flush=True)
    write_atomic(args.out / SCHEDULE, dump_schedule(schedule))
    study, facts = read_study(folders)
    openings = sum(
        len((folder / "bundle" / OPENINGS).read_text().splitlines()) for folder in folders
    )
    command = (
        f"python benchmarks/selector_study.py {SCHEDULE} --seeds {args.seeds} "
        f"--first-seed {args.first_seed} --out DIR"
    )
    write_study(args.out, study, facts, Made(args.file.name, command, args.note, openings))
    print(f"read {args.out / 'study.md'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="a schedule, or a space: its anchor")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--store", help="URL; else $DMTSEARCH_STORE, else the user's cache")
    parser.add_argument("--note", default="", help="for the page: how the schedule was chosen")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    try:
        study_schedule(load_studied(args.file), args)
    except DmtSearchError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
