"""The commands as functions: the same names, the same arguments.

import dmtsearch
report = dmtsearch.check("search_spaces/demo.yaml")
training = dmtsearch.train("search_spaces/digits_chain.yaml", out="out/digits")
bundle = dmtsearch.load_bundle("out/digits")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmtsearch.errors import ScheduleError, UsageError
from dmtsearch.human import command_line, counted
from dmtsearch.notebook import html_view, short_repr, shown_names
from dmtsearch.schedule import Schedule, override
from dmtsearch.schedule import load_schedule as load_schedule
from dmtsearch.space import Space, is_space, override_space
from dmtsearch.space import load_space as load_space
from dmtsearch.store import Store, open_store

if TYPE_CHECKING:
    from torch import nn

    from dmtsearch.bundles.bundle import ModelBundle
    from dmtsearch.deploy.checking import ScheduleCheck
    from dmtsearch.deploy.evaluating import Evaluation
    from dmtsearch.deploy.exporting import Export
    from dmtsearch.deploy.training import Training, Watch
    from dmtsearch.engine.confirm import Confirmed
    from dmtsearch.engine.equal_cost import EqualCost
    from dmtsearch.engine.ledger_lines import TrialProposed
    from dmtsearch.engine.price import SearchPlan
    from dmtsearch.engine.run import Run
    from dmtsearch.engine.status import SearchView
    from dmtsearch.reporting import ComparedRuns, Report


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        ok: Whether it can run.
        problems: Everything that stops it, one sentence each; empty where ok.
        schedule: What would run; for a space, its anchor (the middle of each range, the first
            of each choice). None where not ok.
        holes: Of a space.
        notes: What is allowed but should be known.
        equal_cost: Of a space that requests it: the cost and what the anchor and each control
            arm become by it. None where the size of the data is not known here.
    """

    ok: bool
    problems: tuple[str, ...]
    schedule: ScheduleCheck | None
    holes: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    equal_cost: EqualCost | None = None
    plan: SearchPlan | None = None
    hours: float | None = None

    def __repr__(self) -> str:
        if not self.ok:
            return short_repr(self, counted(len(self.problems), "problem"), *self.problems[:1])
        stages = shown_names(stage.name for stage in self.schedule.stages) if self.schedule else ""
        return short_repr(self, "ok", f"stages: {stages}", counted(len(self.holes), "hole"))

    def _repr_html_(self) -> str:
        rows = [
            (stage.name, stage.model, f"{stage.params:,}", f"{stage.macs:,}", stage.epochs)
            for stage in (self.schedule.stages if self.schedule else ())
        ]
        facts = {f"problem {number}": text for number, text in enumerate(self.problems, start=1)}
        facts |= {f"note {number}": text for number, text in enumerate(self.notes, start=1)}
        columns = ("stage", "model", "params", "MACs", "epochs")
        title = "Can run" if self.ok else "Cannot run"
        return html_view(title, facts, columns=columns, rows=rows)

    def as_dict(self) -> dict[str, Any]:
        """As `dmtsearch check --json` prints it."""
        found = self.schedule
        return {
            "ok": self.ok,
            "problems": list(self.problems),
            "stages": [asdict(stage) for stage in found.stages] if found else [],
            "holes": list(self.holes),
            "deliver": found.deliver if found else None,
            "data": found.data if found else None,
            "cold_cost": found.cost if found else None,
            "given_cost": found.given if found else None,
            "hours": self.hours,
            "equal_cost": self.equal_cost.as_dict() if self.equal_cost else None,
            "plan": self.plan.as_dict() if self.plan else None,
            "notes": list(self.notes),
        }


def check(
    file: str | Path | Schedule | Space,
    *,
    store: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    time: bool = True,
) -> CheckReport:
    """Check a schedule or a search space: everything wrong at once. Trains nothing.

    Args:
        file: A file, or what was loaded from one.
        store: Folder or URL of the store whose finished stages are looked up.
        set: Other values, by document path: `{"stages.student.epochs": 5}`.
        time: Whether a few steps are timed (at most 5 s), so that hours are known.
    """
    from dmtsearch.deploy.checking import check_schedule
    from dmtsearch.engine.own_sampler import check_sampler

    try:
        loaded = _load(file)
        if set:
            loaded = (
                override_space(loaded, set) if isinstance(loaded, Space) else override(loaded, set)
            )
        schedule = loaded.anchor() if isinstance(loaded, Space) else loaded
        found = check_schedule(schedule, open_store(store, read_only=True))
        if isinstance(loaded, Space):
            check_sampler(loaded)
            return _check_space(loaded, found, time)
        return CheckReport(True, (), found, (), found.notes, hours=_hours(schedule, found, time))
    except ScheduleError as error:
        return CheckReport(False, error.problems, None, (), ())


def _check_space(space: Space, found: ScheduleCheck, time: bool) -> CheckReport:
    from dmtsearch.engine.equal_cost import check_equal_cost, find_cost
    from dmtsearch.engine.equal_size import size_notes
    from dmtsearch.engine.opening import small_test
    from dmtsearch.engine.prepare import context_on
    from dmtsearch.engine.price import hours_of, plan_search
    from dmtsearch.machine import slots_here

    equal = space.search.equal_cost is not False and found.cost is not None
    if equal:
        space = space.with_equal_cost(find_cost(space, found.resolve))
    plan: SearchPlan | None = None
    if found.opened is not None and space.holes:
        context = context_on(space, found.opened)
        plan = plan_search(space, context, slots=(slots_here(),), timed=time)
    times = plan.times if plan is not None else None
    equal_cost: EqualCost | None = None
    notes = (*found.notes, *space.notes, *size_notes(space))
    if plan is not None and found.opened is not None:
        reason = small_test(found.opened.split_sizes.get("test", 0))
        notes = (*notes, *([f"`dmtsearch confirm` will refuse: {reason}"] if reason else []))
    if equal:
        equal_cost = check_equal_cost(space, found.resolve, lambda path: hours_of(path, times))
        notes = (*notes, *equal_cost.notes)
    holes = tuple(hole.as_dict() for hole in space.holes)
    hours = hours_of(found.resolve(space.anchor()), times) if times is not None else None
    return CheckReport(True, (), found, holes, notes, equal_cost, plan, hours)


def _hours(schedule: Schedule, found: ScheduleCheck, time: bool) -> float | None:
    """Of one training of a schedule, where its data is here and steps may be timed."""
    from dmtsearch.engine.price import hours_of
    from dmtsearch.training.jobs import make_jobs
    from dmtsearch.training.profile import pick_device
    from dmtsearch.training.stage_times import time_stages

    if found.opened is None or not time:
        return None
    plan = found.resolve(schedule)
    jobs = make_jobs(plan, found.opened, device=pick_device())
    return hours_of(plan, time_stages(jobs, found.opened))


def plan(
    space: str | Path | Space,
    *,
    trials: int | None = None,
    slots: Sequence[int] = (1, 8, 64),
    seed: int = 0,
    set: Mapping[str, Any] | None = None,
    time: bool = True,
) -> SearchPlan:
    """Simulate a search by the scheduler's own rules: what runs, what is shared, how long.

    Args:
        space: A file, or a loaded space.
        trials: Search trials; the space's own number if None.
        slots: Numbers of stages that run at once.
        seed: Of the search.
        set: Other values in the space, by document path.
        time: Whether a few steps are timed (at most 5 s), so that hours are known.

    Raises:
        DmtSearchError: It could not be searched.
    """
    from dmtsearch.engine.prepare import open_run
    from dmtsearch.engine.price import plan_search

    loaded = space if isinstance(space, Space) else load_space(space)
    if set:
        loaded = override_space(loaded, set)
    if not loaded.holes:
        raise UsageError(
            f"{loaded.where}: there is nothing to search in a schedule without holes; see what "
            f"it costs: {command_line('check', loaded.where)}"
        )
    context = open_run(loaded, loaded.anchor(), str(Path.cwd()))
    return plan_search(loaded, context, trials=trials, slots=slots, seed=seed, timed=time)


def _load(file: str | Path | Schedule | Space) -> Schedule | Space:
    if isinstance(file, Schedule | Space):
        return file
    return load_space(file) if is_space(file) else load_schedule(file)


def train(
    schedule: str | Path | Schedule,
    out: str | Path,
    *,
    seed: int | None = None,
    set: Mapping[str, Any] | None = None,
    store: str | Path | Store | None = None,
    models: Mapping[str, nn.Module] | None = None,
    data: Any = None,
    device: str | None = None,
    watch: Watch | None = None,
) -> Training:
    """Train one schedule, without a search, into a model bundle.

    Args:
        schedule: A file, or a loaded schedule; of a run's folder what the run recommends, to be
            refitted to other data only where its samples have the same shape.
        out: Folder of the bundle: new, empty, or one that holds this same schedule.
        seed: In place of the schedule's own.
        set: Values in place of the schedule's, by document path: `{"stages.student.epochs": 5}`.
        store: Where finished stages lie: an open store, a folder or a URL.
        models: The user's own modules by stage, in place of the schedule's descriptions.
        data: The user's own data sets: a map-style data set of (x, label), or a dict of such by
            split.
        device: `cpu`, `cuda`, ...; CUDA where there is one, if None.
        watch: Who is notified of what while it trains.

    Raises:
        DmtSearchError: Something is wrong with schedule, data, store or folder; before training
            where it can be known.
    """
    from dmtsearch.deploy.training import train_schedule

    loaded = schedule if isinstance(schedule, Schedule) else load_schedule(_file_of(schedule))
    changes = dict(set or {})
    if seed is not None:
        changes["seed"] = seed
    found = loaded
    if changes:
        loaded = override(loaded, changes)
    of_run = not isinstance(schedule, Schedule) and Path(schedule).is_dir()
    if of_run and (data is not None or loaded.data != found.data):
        from dmtsearch.deploy.refit import refuse_other_shape

        refuse_other_shape(Path(str(schedule)), found, loaded, data)
    opened = store if isinstance(store, Store) else open_store(store)
    return train_schedule(
        loaded, Path(out), opened, models=models, data=data, device=device, watch=watch
    )


def _file_of(schedule: str | Path) -> Path:
    """A schedule's file; of a run's folder its `recommended.yaml`."""
    path = Path(schedule)
    if not path.is_dir():
        return path
    recommended = path / "recommended.yaml"
    if recommended.is_file():
        return recommended
    if not (path / "run.json").is_file():
        raise UsageError(f"{path}: a folder that is no run; give a schedule's file, or a run")
    best = command_line("train", path / "best_schedule.yaml", "--out", "DIR")
    raise UsageError(
        f"{path}: the run has no recommended.yaml yet; make it with "
        f"{command_line('confirm', path)}, or train its best trial unconfirmed: {best}"
    )


def load_bundle(
    folder: str | Path,
    *,
    model: nn.Module | None = None,
    models: Mapping[str, nn.Module] | None = None,
    device: str = "cpu",
) -> ModelBundle:
    """Load what `train` wrote; see `dmtsearch.deploy.loading.load_bundle`."""
    from dmtsearch.deploy.loading import load_bundle as load

    return load(folder, model=model, models=models, device=device)


def evaluate(
    folder: str | Path | ModelBundle,
    *,
    data: Any = None,
    device: str | None = None,
) -> Evaluation:
    """Score a bundle on its test split, or on other data; each opening is written down.

    Args:
        folder: Of a bundle, or what `load_bundle` returned.
        data: Other data; see `dmtsearch.deploy.evaluating.evaluate_bundle`.
        device: `cpu`, `cuda`, ...; CUDA where there is one, if None.
    """
    from dmtsearch.deploy.evaluating import evaluate_bundle

    return evaluate_bundle(folder, data=data, device=device)


def export(
    bundle: str | Path | ModelBundle,
    format: str = "pt2",
    out: str | Path | None = None,
) -> Export:
    """Write a bundle as one file for a device, verified against the bundle.

    See `dmtsearch.deploy.exporting.export_bundle` for what the file reads and answers.

    Args:
        bundle: Its folder, or what `load_bundle` returned.
        format: `pt2` or `onnx`.
        out: The file; `model.pt2` or `model.onnx` in the bundle's folder, if None.

    Raises:
        DmtSearchError: It cannot be exported as asked; nothing is left behind.
    """
    from dmtsearch.deploy.exporting import export_bundle

    return export_bundle(bundle, format, out)


def report(run: str | Path, out: str | Path | None = None) -> Report:
    """Write the report of a run: a self-contained page, Markdown with figures, tables as CSV.

    Needs neither torch nor ray; where torch and the store are here, the page also says how alike
    students and sources of the recommended chain answer. The run folder is only read, and a search
    may be writing to it.

    Args:
        run: A run folder, as `search` wrote it.
        out: Folder of the report; `reports/NAME`, with the run folder's name, if None.

    Raises:
        DmtSearchError: `run` is not a run folder, or its ledger cannot be read.
    """
    from dmtsearch.reporting import write_report

    def predict(trial: TrialProposed) -> tuple[Any, Mapping[str, Any]]:
        from dmtsearch.engine.chain_outputs import predict_chain

        return predict_chain(run, trial)

    return write_report(run, out, predict=predict)


def compare(runs: Sequence[str | Path], out: str | Path | None = None) -> ComparedRuns:
    """Write one page over several runs, and say where their numbers may not be compared.

    Args:
        runs: Two run folders at least; they are only read.
        out: Folder of the page; `reports/`, with the runs' names, if None.

    Raises:
        DmtSearchError: One is not a run folder, or its ledger cannot be read.
    """
    from dmtsearch.reporting import compare_runs

    return compare_runs(runs, out)


def search(
    space: str | Path | Space,
    *,
    trials: int | None = None,
    out: str | Path | None = None,
    time_budget: str | float | None = None,
    address: str | None = None,
    concurrency: int | None = None,
    store: str | Path | None = None,
    seed: int = 0,
    set: Mapping[str, Any] | None = None,
    backend: str = "ray",
    view: SearchView | None = None,
    log: Sequence[str] = (),
) -> Run:
    """Search a space; return the run as data frames, with the best schedule.

    Ctrl-C stops cleanly, and the run comes back with `ended == "interrupted"`; `resume` goes on.

    Args:
        space: A file, or a loaded space.
        trials: Search trials in all; the space's own number if None.
        out: Folder of the run, which must not exist; `runs/NAME-TIME` if None.
        time_budget: Nothing is proposed after so long: seconds, or `30m`, `2h`.
        address: Of a Ray cluster: `auto`, or host:port; else $RAY_ADDRESS, else a Ray of this
            machine's own. A connection that is there already (a notebook's) is used as it is.
        concurrency: Trials at once, at most 64; twice as many as stages fit, if None.
        store: URL of the store of finished stages; else $DMTSEARCH_STORE, else the user's cache.
        seed: Of the proposals and of the trials' schedules.
        set: Other values in the space, by document path: `{"stages.student.epochs": 5}`.
        backend: `ray`; or `inline`: no Ray, one stage at a time in this process, which suits
            tests, debugging and notebooks. It takes neither `address` nor `concurrency`.
        view: Who is shown how it goes; now and then a line on standard output, if None.
        log: Loggers that get each trial as it ends: `tensorboard`, `mlflow`, `wandb`.

    Raises:
        DmtSearchError: It cannot run as requested; raised before anything is tried.
    """
    from dmtsearch.engine.driver_options import DriverOptions
    from dmtsearch.engine.run import search as run_search

    options = DriverOptions(
        trials, time_budget, address, concurrency, backend, view, log=tuple(log)
    )
    where = str(store) if isinstance(store, Path) else store
    return run_search(space, options, out=out, store=where, seed=seed, set=set)


def resume(
    run: str | Path | Run,
    *,
    trials: int | None = None,
    time_budget: str | float | None = None,
    address: str | None = None,
    concurrency: int | None = None,
    store: str | Path | None = None,
    folder: str | Path | None = None,
    train_again: bool = False,
    backend: str | None = None,
    view: SearchView | None = None,
    log: Sequence[str] = (),
) -> Run:
    """Go on with a run after any interruption, or add trials to a finished one.

    No finished stage runs again; unfinished trials go first, with the same parameters.

    Args:
        run: Its folder, or what `search` returned.
        trials: The new total of search trials; as it was if None.
        time_budget, address, concurrency, view, log: As for `search`.
        store: URL of the store that holds its stages now; as it was if None. Any store does,
            since stages are found by their content.
        folder: Where relative paths and factories start from now; as it was if None.
        train_again: Go on though no stage that the run has finished is in the store.
        backend: As for `search`; as it was if None.

    Raises:
        DmtSearchError: It is not a run folder, another process works in it, or it cannot go on.
    """
    from dmtsearch.engine.driver_options import DriverOptions
    from dmtsearch.engine.run import resume as run_resume

    options = DriverOptions(
        trials, time_budget, address, concurrency, backend, view, log=tuple(log)
    )
    where = str(store) if isinstance(store, Path) else store
    return run_resume(run, options, store=where, folder=folder, train_again=train_again)


def confirm(
    run: str | Path | Run,
    *,
    top: int | None = None,
    looks: Sequence[int] | None = None,
    more: bool = False,
    trial: int | None = None,
    vary: Sequence[str] | None = None,
    explain: bool = True,
    students: int | None = None,
    address: str | None = None,
    concurrency: int | None = None,
    store: str | Path | None = None,
    backend: str | None = None,
    view: SearchView | None = None,
) -> Confirmed:
    """Retrain a run's best schedule and its controls on fresh seeds; return the verdict.

    Ctrl-C stops cleanly, and the result comes back with `stopped`; the same call goes on.

    Args:
        run: Its folder, or what `search` returned.
        top: Trials among which one is chosen, by val on seeds of their own; if None as many as
            before, 3 at first.
        looks: Replicates at each look, from 5; 5, 8, 12, 16 if None.
        more: Look further than the plan that has ended, at half its level.
        trial: Test this trial; none is chosen then.
        vary: Which dimensions are explained, of `dmtsearch.engine.confirm_variants.DIMENSIONS`;
            all if None.
        explain: Whether one-factor variants of the chosen schedule are trained.
        students: Of each arm for one first model (teacher): the test is over means of teachers.
        address, concurrency, backend, view: As for `search`.
        store: As for `resume`.

    Raises:
        DmtSearchError: The run has nothing to confirm, or cannot go on here.
    """
    from dmtsearch.engine.confirm import confirm as run_confirm
    from dmtsearch.engine.confirm_request import ConfirmRequest
    from dmtsearch.engine.driver_options import DriverOptions

    at = tuple(looks) if looks else None
    request = ConfirmRequest(top, at, more, trial, vary, explain, students)
    options = DriverOptions(None, None, address, concurrency, backend, view)
    return run_confirm(run, request, options, store=str(store) if store is not None else None)
