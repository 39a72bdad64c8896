"""`dmtsearch confirm`: whether a run's best schedule beats its controls, on fresh seeds."""

import csv
import io
import statistics
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dmtsearch.errors import DmtSearchError, SearchStoppedError, UsageError
from dmtsearch.evidence import LookResult, Looks, Verdict, compare, decide, holm, power
from dmtsearch.evidence.looks import FIRST_LOOKS, check_looks
from dmtsearch.evidence.words import answer, seeable
from dmtsearch.files import read_regular, write_atomic, write_json
from dmtsearch.human import amount, command_line, points
from dmtsearch.schedule import Schedule, Stage, dump_schedule, expand, parse_schedule

from .confirm_arms import (
    CHOSEN,
    DIMENSIONS,
    AtCost,
    PathArm,
    controls_of,
    is_given,
    one_hop_of,
    replicate,
    variants_of,
)
from .confirm_plan import (
    Confirmation,
    ConfirmPaths,
    ConfirmPlan,
    first_seed,
    read_confirmation,
    write_confirmation,
)
from .console import ConsoleView
from .driver_options import DriverOptions
from .ledger import RunState, read_state
from .ledger_lines import TrialProposed, now
from .messages import Prepare
from .opening import TestSplit
from .prepare import PrepareContext, open_run, preparer
from .reopening import Reopened, reopen
from .run import Run
from .run_folder import held, keep_data, write_space
from .run_summary import best_trial
from .session import Session

_MORE_LOOKS = 4
_COLUMNS = ("phase", "replicate", "seed", "arm", "key", "accuracy", "n", "cold_cost", "status")
_Rows = dict[tuple[str, str, str], tuple[Any, ...]]


@dataclass(frozen=True)
class Confirmed:
    """What a confirmation has come to.

    Attributes:
        run: The run.
        found: As `confirm.json` has it; {} where it was stopped before its first look.
        stopped: Whether it was interrupted; the same command goes on.
    """

    run: Run
    found: Mapping[str, Any]
    stopped: bool = False

    @property
    def verdict(self) -> str | None:
        """BEATS, LOSES, TIES or UNDECIDED; None before the first look."""
        return self.found.get("verdict")

    @property
    def answer(self) -> str | None:
        """The answer in a sentence."""
        return answer(self.found) if self.found else None


@dataclass(frozen=True)
class ConfirmRequest:
    """What is to be confirmed, and how.

    Attributes:
        top: Trials among which one is chosen, by val.
        looks: Replicates at each look; 5, 8, 12, 16 if None, or as the plan that was begun.
        more: Look further where the last plan has ended; at half its level.
        trial: Test this trial; nothing is chosen then.
        vary: Which dimensions of the chosen schedule are explained; all if None.
        explain: Whether one-factor variants are trained at all.

    Raises:
        UsageError: A value cannot be.
    """

    top: int = 3
    looks: tuple[int, ...] | None = None
    more: bool = False
    trial: int | None = None
    vary: Sequence[str] | None = None
    explain: bool = True

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError(f"--top must be at least 1, got {self.top}")
        if self.looks is not None:
            check_looks(self.looks)
        unknown = [name for name in self.vary or () if name not in DIMENSIONS]
        if unknown:
            raise UsageError(f"--vary {unknown[0]}: there are {', '.join(DIMENSIONS)}")


def confirm(
    run: str | Path | Run,
    request: ConfirmRequest,
    options: DriverOptions,
    *,
    store: str | None = None,
) -> Confirmed:
    """Retrain the best schedule and its controls on fresh seeds, and give a verdict.

    Among the best trials one is chosen by val on seeds that are not used again. It is then tested
    on fresh whole paths, paired with controls of equal cost that are made from it, at planned
    looks. The plan is written down before the first training; after any interruption the same
    call goes on. The test split is opened at each look, and each opening is written down.

    Args:
        run: A run that has finished trials.
        request: What is to be confirmed.
        options: Of this driver.
        store: As for `resume`.

    Raises:
        UsageError: The run has nothing to confirm; says what is missing.
        DmtSearchError: It cannot run here.
    """
    root = run.folder if isinstance(run, Run) else Path(run)
    # What the search has trained is not needed: all is trained on other seeds.
    opened = reopen(root, store=store, train_again=True)
    backend = options.backend or opened.info.backend
    options.refuse_options_of_ray(backend)
    paths = ConfirmPaths.of(opened.paths)
    with held(opened.paths), _folder(paths, opened):
        info = replace(
            opened.info,
            run_id=uuid.uuid4().hex[:12],
            trials=0,
            backend=backend,
            concurrency=options.concurrency or opened.info.concurrency,
        )
        work = _Confirming(replace(opened, info=info), paths, options)
        done = work.run(request)
    return Confirmed(Run(root), work.confirmation.result, stopped=not done)


@contextmanager
def _folder(paths: ConfirmPaths, opened: Reopened) -> Iterator[None]:
    """The folder of the confirmation's trainings, held."""
    with paths.writing():
        paths.root.mkdir(exist_ok=True)
    with held(paths):
        if not paths.space.exists():
            write_space(paths, opened.space)
        yield


class _Interrupted(Exception):
    """A person stops it."""


class _Confirming:
    """One call of `confirm`, in a folder that this process holds."""

    def __init__(self, opened: Reopened, paths: ConfirmPaths, options: DriverOptions) -> None:
        self._opened, self._paths, self._options = opened, paths, options
        from dmtsearch.training.schedule_data import data_facts

        self._view = options.view or ConsoleView()
        self._searched = read_state(opened.paths.ledger)
        self._refuse_without_trials()
        self._anchor = opened.space.anchor().with_seed(opened.info.seed)
        if expand(self._anchor).with_selector:
            raise UsageError(
                f"{opened.paths.root}: a selector's run is not confirmed by this version: its "
                "report compares the selector with every other rule on the same outputs"
            )
        info, root = opened.info, opened.paths.root
        self._context: PrepareContext = open_run(opened.space, self._anchor, info.folder)
        found = data_facts(self._context.data)
        keep_data(info, found, root, resumed=True, tell=self._view.tell)
        if "test" not in self._context.data.split_sizes:
            raise UsageError(
                f"{opened.paths.root}: its data has no test split, on which a verdict rests; give "
                "`data.test` in the space and search anew"
            )
        self._prepare: Prepare = preparer(self._context)
        self._test = TestSplit(self._context, opened.store, paths)
        self.confirmation: Confirmation = read_confirmation(paths)
        self._rows = _read_rows(paths)
        self._made: dict[tuple[int, int], dict[str, Schedule]] = {}

    def _refuse_without_trials(self) -> None:
        root = self._opened.paths.root
        if not self._searched.of_search("done"):
            raise UsageError(
                f"{root}: no trial has finished, so there is nothing to confirm; go on with "
                f"{command_line('resume', root)}"
            )

    def run(self, request: ConfirmRequest) -> bool:
        """Do all that is left of the plan; whether it came to its end."""
        try:
            self._make_plan(request)
            self._choose()
            decision = self._look()
            if request.explain:
                self._explain(decision.n, tuple(request.vary or DIMENSIONS))
        except _Interrupted:
            return False
        return True

    # -- the plan -------------------------------------------------------------------------------

    def _make_plan(self, request: ConfirmRequest) -> None:
        found, looks = self.confirmation, request.looks
        candidates = self._candidates(request.top, request.trial)
        last = found.plan if found.plans else None
        if last is not None and last.candidates == candidates:
            if not found.is_over:
                if looks is not None and looks != last.looks.at:
                    raise UsageError(
                        f"the plan that was begun looks at {_listed(last.looks.at)}: go on with "
                        f"it without --looks ({self._paths.go_on})"
                    )
                return
            if not request.more:
                return
            ended = last.looks.at[-1]
            at = tuple(n for n in looks or () if n > ended) or tuple(
                ended + 4 * (k + 1) for k in range(_MORE_LOOKS)
            )
            number = len(found.plans) + 1
            plan = replace(last, looks=Looks.of_plan(at, number))
        else:
            number = len(found.plans) + 1
            plan = ConfirmPlan(
                looks=Looks.of_plan(looks or FIRST_LOOKS, number),
                candidates=candidates,
                first_seed=first_seed(self._opened.info.seed, number),
            )
        self.confirmation = replace(found, plans=(*found.plans, plan))
        self._write()
        self._view.tell(
            f"plan {number}: looks at {_listed(plan.looks.at)} replicates, two-sided p under "
            f"{2 * plan.looks.bound:.4f} at each"
        )

    def _cost(self, chosen: Schedule) -> int:
        """What each arm may cost: the space's own bound, else as much as the chosen trial."""
        fixed = self._opened.space.search.equal_cost
        return self._prepare(chosen).cold_cost if isinstance(fixed, bool) else fixed

    def _at_cost(self, cost: int) -> AtCost:
        from dmtsearch.training.equal_cost import at_equal_cost

        context = self._context
        return lambda schedule: at_equal_cost(
            schedule, cost, context.resolve, first=context.first_model
        )

    def _candidates(self, top: int, trial: int | None) -> tuple[int, ...]:
        """Numbers of the trials to choose from: of one delivered model, best by val first."""
        done = {one.trial: one for one in self._searched.of_search("done")}
        if trial is not None:
            if trial not in done:
                raise UsageError(
                    f"--trial {trial}: no finished trial of the search has this number; finished "
                    f"are {', '.join(map(str, sorted(done)))}"
                )
            return (trial,)
        best = best_trial(self._searched)
        assert best is not None, "a finished trial is the best of something"
        same = [one for one in done.values() if _delivered_of(one) == _delivered_of(best)]
        if top > len(done):
            raise UsageError(f"--top {top}: the search has {len(done)} finished trials")
        same.sort(key=lambda one: (-self._val(self._searched, one.trial), one.trial))
        chosen = [best, *(one for one in same if one.trial != best.trial)]
        found: dict[str, int] = {}
        for one in chosen:
            found.setdefault(_key_of(one), one.trial)
        return tuple(found.values())[:top]

    def _val(self, state: RunState, trial: int) -> float:
        end = state.ends.get(trial)
        value = end.metrics.get("accuracy") if end is not None and end.status == "done" else None
        return float(value) if value is not None else 0.0

    def _schedule(self, trial: int) -> Schedule:
        text = self._searched.trials[trial].schedule
        return replicate(parse_schedule(text, f"trial {trial}"))

    # -- choose ---------------------------------------------------------------------------------

    def _choose(self) -> None:
        plan = self.confirmation.plan
        if plan.chosen is not None:
            return
        chosen = plan.candidates[0]
        if len(plan.candidates) > 1:
            self._view.tell(
                f"choosing among trials {_listed(plan.candidates)} by val on seeds "
                f"{_listed(plan.choosing_seeds)}, which are not used again"
            )
            arms = [
                PathArm(f"choose_{number}", self._schedule(number), seed)
                for seed in plan.choosing_seeds
                for number in plan.candidates
            ]
            state = self._train(arms)
            means = {
                number: statistics.fmean(
                    self._val_of(state, f"choose_{number}", seed) for seed in plan.choosing_seeds
                )
                for number in plan.candidates
            }
            chosen = max(plan.candidates, key=lambda number: means[number])
            self._note_choosing(state, plan)
        cost = self._cost(self._schedule(chosen))
        at_cost = self._at_cost(cost)
        schedule = at_cost(self._schedule(chosen))
        controls, missing = controls_of(schedule, self._one_hop(), at_cost, self._prepare)
        self._made[chosen, cost] = {CHOSEN: schedule, **controls}
        if not controls:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
            raise UsageError(f"trial {chosen} has no control to be compared with: {reasons}")
        plan = replace(plan, chosen=chosen, cost=cost, controls=tuple(controls), missing=missing)
        self.confirmation = self.confirmation.with_plan(plan)
        self._write()
        self._view.tell(
            f"chosen: trial {chosen}; controls: {', '.join(controls)}, each for at most "
            f"{amount(cost)} sample-MACs"
        )

    def _arms(self) -> tuple[ConfirmPlan, int, dict[str, Schedule]]:
        """The plan, what each arm may cost, and the chosen schedule with its controls."""
        plan = self.confirmation.plan
        assert plan.chosen is not None
        assert plan.controls is not None
        assert plan.cost is not None
        key = plan.chosen, plan.cost
        if key not in self._made:
            at_cost = self._at_cost(plan.cost)
            chosen = at_cost(self._schedule(plan.chosen))
            made, _ = controls_of(chosen, self._one_hop(), at_cost, self._prepare)
            self._made[key] = {CHOSEN: chosen, **{name: made[name] for name in plan.controls}}
        return plan, plan.cost, self._made[key]

    def _one_hop(self) -> Stage | None:
        """The delivered stage of the best trial of one hop, by val."""
        trials = self._searched.of_search("done")
        for one in sorted(trials, key=lambda t: -self._val(self._searched, t.trial)):
            stage = one_hop_of(parse_schedule(one.schedule, f"trial {one.trial}"))
            if stage is not None:
                return stage
        return None

    def _note_choosing(self, state: RunState, plan: ConfirmPlan) -> None:
        for number in plan.candidates:
            for place, seed in enumerate(plan.choosing_seeds, 1):
                self._row("choose", place, f"choose_{number}", seed, state)

    # -- test -----------------------------------------------------------------------------------

    def _look(self) -> LookResult:
        plan, _, arms = self._arms()
        controls = [name for name in arms if name != CHOSEN]
        self._warn_small(plan)
        for n in plan.looks.at:
            replicates, state = self._replicates(arms, n)
            power_found = self._power(plan, arms, replicates, state)
            self._open(plan, n, replicates)
            scores = {
                arm: [self._tested("test", r, arm, state) for r in replicates] for arm in arms
            }
            differences = {
                name: [a - b for a, b in zip(scores[CHOSEN], scores[name], strict=True)]
                for name in controls
            }
            decision = decide(differences, plan.looks, plan.margin)
            self._keep(plan, decision, scores, power_found, arms[CHOSEN], replicates)
            self._view.tell(f"{n} replicates: {answer(self.confirmation.result)}")
            if decision.stop:
                break
        self._recommend(plan, decision, scores, arms)
        return decision

    def _replicates(
        self, arms: Mapping[str, Schedule], n: int
    ) -> tuple[tuple[int, ...], RunState]:
        """Train until `n` replicates are complete; one in which an arm fails is replaced."""
        plan = self.confirmation.plan
        tried = n
        while True:
            wanted = [
                PathArm(name, schedule, plan.test_seed(r))
                for r in range(1, tried + 1)
                for name, schedule in arms.items()
            ]
            state = self._train(wanted)
            by_arm = _by_arm(state)
            complete = [
                r
                for r in range(1, tried + 1)
                if all(_is_done(state, by_arm.get((a, plan.test_seed(r)))) for a in arms)
            ]
            if len(complete) >= n:
                return tuple(complete[:n]), state
            if tried >= 2 * n:
                raise DmtSearchError(
                    f"only {len(complete)} of {tried} replicates are complete: in the others a "
                    f"training failed ({self._first_failure(state)}); without {n} there is no "
                    f"look. See {self._paths.trials}"
                )
            tried += n - len(complete)

    def _first_failure(self, state: RunState) -> str:
        reasons = [end.reason for end in state.ends.values() if end.status == "failed"]
        return reasons[0] or "no reason is known" if reasons else "no reason is known"

    def _power(
        self,
        plan: ConfirmPlan,
        arms: Mapping[str, Schedule],
        replicates: Sequence[int],
        state: RunState,
    ) -> Mapping[str, Any]:
        """What the plan can find, by the spread of val over its first five replicates."""
        kept = self.confirmation.result.get("power")
        if kept and self.confirmation.result.get("plan") == len(self.confirmation.plans):
            return dict(kept)
        val = {
            arm: [self._val_of(state, arm, plan.test_seed(r)) for r in replicates[:5]]
            for arm in arms
        }
        spread = max(
            compare([a - b for a, b in zip(val[CHOSEN], val[name], strict=True)]).sd
            for name in plan.controls or ()
        )
        found = {
            f"{100 * true:g} points": power(
                plan.looks,
                difference=true,
                sd=max(spread, 1e-4),
                controls=len(plan.controls or ()),
                margin=plan.margin,
            ).wins
            for true in (0.005, 0.01, 0.02)
        }
        shown = ", ".join(f"{100 * wins:.0f} % at {true}" for true, wins in found.items())
        self._view.tell(
            f"before the test split is opened: the paired spread on val is {points(spread)[1:]}; "
            f"with it this plan finds a true gain in {shown}"
        )
        return {"sd_on_val": spread, "wins": found}

    def _open(self, plan: ConfirmPlan, n: int, replicates: Sequence[int]) -> None:
        number = len(self.confirmation.plans)
        seeds = [plan.test_seed(r) for r in replicates]
        opening = {
            "opened": now(),
            "plan": number,
            "replicates": n,
            "candidates": len(plan.candidates),
            "seeds": seeds,
        }
        known = [(one["plan"], one["replicates"]) for one in self.confirmation.openings]
        if (number, n) not in known:
            openings = (*self.confirmation.openings, opening)
            self.confirmation = replace(self.confirmation, openings=openings)
            self._write()
        self._test.open(f"confirm, plan {number}, {n} replicates")

    def _warn_small(self, plan: ConfirmPlan) -> None:
        assert plan.chosen is not None
        words = seeable(self._test.n, self._val(self._searched, plan.chosen))
        if words is not None:
            self._view.tell(words)

    def _keep(
        self,
        plan: ConfirmPlan,
        decision: LookResult,
        scores: Mapping[str, Sequence[float]],
        power_found: Mapping[str, Any],
        chosen: Schedule,
        replicates: Sequence[int],
    ) -> None:
        confidence = plan.looks.confidence
        controls = [
            {
                "arm": name,
                "difference": paired.mean,
                "interval": list(paired.interval(confidence)),
                "interval_90": list(paired.interval(0.9)),
                "sd": paired.sd,
                "n": paired.n,
                "p": min(1.0, 2 * min(paired.p, 1 - paired.p)),
                "verdict": str(verdict),
                "accuracy": statistics.fmean(scores[name]),
            }
            for name, (paired, verdict) in decision.controls.items()
        ]
        result = {
            "verdict": str(decision.verdict),
            "over": decision.stop,
            "futile": decision.futile,
            "plan": len(self.confirmation.plans),
            "n": decision.n,
            "chosen": {
                "trial": plan.chosen,
                "accuracy": statistics.fmean(scores[CHOSEN]),
                "sd": statistics.stdev(scores[CHOSEN]),
            },
            "controls": controls,
            "missing_controls": dict(plan.missing),
            "looks": list(plan.looks.at),
            "confidence": confidence,
            "split": "test",
            "test_n": self._test.n,
            "seeds": {
                "choose": list(plan.choosing_seeds) if len(plan.candidates) > 1 else [],
                "test": [plan.test_seed(r) for r in replicates],
            },
            "margin": plan.margin,
            "power": dict(power_found),
            "first_model": "given" if is_given(chosen) else "trained",
            "cold_cost": plan.cost,
        }
        self.confirmation = replace(self.confirmation, result=result)
        self._write()

    def _recommend(
        self,
        plan: ConfirmPlan,
        decision: LookResult,
        scores: Mapping[str, Sequence[float]],
        arms: Mapping[str, Schedule],
    ) -> None:
        """Write `recommended.yaml`: the chosen schedule if it beats all, else the best control."""
        name = CHOSEN
        if decision.verdict is not Verdict.BEATS:
            open_ones = [a for a, (_, v) in decision.controls.items() if v is not Verdict.BEATS]
            means = {arm: statistics.fmean(scores[arm]) for arm in open_ones}
            near = [arm for arm in open_ones if means[arm] >= max(means.values()) - 0.001]
            name = min(near, key=lambda arm: (len(expand(arms[arm]).needed()), -means[arm]))
        what = f"trial {plan.chosen}" if name == CHOSEN else f"the control {name}"
        seeds = self.confirmation.result["seeds"]["test"]
        train = command_line("train", self._paths.run_root, "--out", "DIR")
        header = (
            f"# {what}; verdict on the chosen schedule (trial {plan.chosen}): {decision.verdict}\n"
            f"# test accuracy {100 * statistics.fmean(scores[name]):.2f} % over n = {decision.n} "
            f"fresh seeds ({seeds[0]} to {seeds[-1]}), {amount(plan.cost)} sample-MACs at most\n"
            f"# made by dmtsearch confirm; train it: {train}\n"
        )
        text = header + dump_schedule(arms[name].with_seed(self._opened.info.seed))
        with self._paths.writing():
            write_atomic(self._paths.recommended, text)
        result = {**self.confirmation.result, "recommended": name}
        self.confirmation = replace(self.confirmation, result=result)
        self._write()

    # -- explain --------------------------------------------------------------------------------

    def _explain(self, n: int, dimensions: Sequence[str]) -> None:
        plan, cost, every = self._arms()
        variants = variants_of(every[CHOSEN], self._at_cost(cost), self._prepare, dimensions)
        if not variants:
            self._view.tell(
                "nothing to explain: the chosen schedule uses none of these dimensions"
            )
            return
        self._view.tell(f"explaining: {len(variants)} variants of the chosen schedule, n = {n}")
        replicates = [
            seed - plan.test_seed(0) for seed in self.confirmation.result["seeds"]["test"]
        ]
        arms = [
            PathArm(f"vary {one.name}", one.schedule, plan.test_seed(r))
            for r in replicates
            for one in variants
        ]
        state = self._train(arms)
        found: list[dict[str, Any]] = []
        tests: dict[str, float] = {}
        for one in variants:
            name = f"vary {one.name}"
            trials = {r: _by_arm(state).get((name, plan.test_seed(r))) for r in replicates}
            kept = [r for r in replicates if _is_done(state, trials[r])]
            differences = [
                self._tested("test", r, CHOSEN, state) - self._tested("explain", r, name, state)
                for r in kept
            ]
            if len(differences) < 2:
                continue
            paired = compare(differences)
            tests[one.name] = min(1.0, 2 * min(paired.p, 1 - paired.p))
            found.append(
                {
                    "dimension": one.dimension,
                    "variant": one.name,
                    "effect": paired.mean,
                    "interval": list(paired.interval(0.95)),
                    "n": paired.n,
                    "from": "confirm",
                }
            )
        adjusted = holm(tests)
        policy = [{**one, "p_holm": adjusted[one["variant"]]} for one in found]
        with self._paths.writing():
            write_json(self._paths.policy, policy)
        self._write()

    # -- train and score ------------------------------------------------------------------------

    def _train(self, arms: Sequence[PathArm]) -> RunState:
        """Train paths through the engine; those that the folder's ledger has are not run again."""
        known = read_state(self._paths.ledger) if self._paths.ledger.exists() else RunState()
        by_arm = _by_arm(known)
        ended = {pair for pair, trial in by_arm.items() if trial.trial in known.ends}
        if all((arm.name, arm.seed) in ended for arm in arms):
            return known
        opened = self._opened
        session = Session(
            self._paths,
            opened.info,
            opened.space,
            opened.store,
            replace(self._options, view=self._view),
            opened.notes,
            arms=lambda: arms,
        )
        reason = session.run(
            resumed=self._paths.ledger.exists(),
            command=self._options.command or "dmtsearch.confirm(...)",
        )
        if reason == "interrupted":
            raise _Interrupted
        if reason == "failed":
            raise SearchStoppedError(f"the confirmation broke off; go on with {self._paths.go_on}")
        return read_state(self._paths.ledger)

    def _val_of(self, state: RunState, arm: str, seed: int) -> float:
        trial = _by_arm(state).get((arm, seed))
        return 0.0 if trial is None else self._val(state, trial.trial)

    def _tested(self, phase: str, place: int, arm: str, state: RunState) -> float:
        """Test accuracy of an arm of a replicate."""
        seed = self.confirmation.plan.test_seed(place)
        trial = _by_arm(state)[arm, seed]
        accuracy = self._test.accuracy(
            _key_of(trial),
            lambda: self._prepare(parse_schedule(trial.schedule, f"trial {trial.trial}")),
        )
        self._row(phase, place, arm, seed, state, accuracy)
        return accuracy

    def _row(
        self,
        phase: str,
        place: int,
        arm: str,
        seed: int,
        state: RunState,
        accuracy: float | None = None,
    ) -> None:
        trial = _by_arm(state).get((arm, seed))
        if trial is None:
            return
        end = state.ends[trial.trial]
        n: Any = self._test.n if accuracy is not None else end.metrics.get("n")
        shown = accuracy if accuracy is not None else end.metrics.get("accuracy")
        row = (phase, place, seed, arm, _key_of(trial), shown, n, trial.cold_cost, end.status)
        self._rows[phase, arm, str(seed)] = row

    def _write(self) -> None:
        """Write `confirm.json` and `confirm.csv`."""
        write_confirmation(self._paths, self.confirmation)
        if self._rows:
            out = io.StringIO()
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows(self._rows.values())
            with self._paths.writing():
                write_atomic(self._paths.table, out.getvalue())


def _read_rows(paths: ConfirmPaths) -> _Rows:
    """The rows that `confirm.csv` has, by phase, arm and seed."""
    try:
        text = read_regular(paths.table, most=1 << 26).decode()
    except (OSError, ValueError):
        return {}
    rows = [row for row in csv.reader(io.StringIO(text)) if len(row) == len(_COLUMNS)]
    return {(row[0], row[3], row[2]): tuple(row) for row in rows[1:]}


def _by_arm(state: RunState) -> Mapping[tuple[str, int], TrialProposed]:
    return {(trial.arm, trial.seed): trial for trial in state.trials.values()}


def _is_done(state: RunState, trial: TrialProposed | None) -> bool:
    return trial is not None and _status(state, trial) == "done"


def _status(state: RunState, trial: TrialProposed) -> str | None:
    end = state.ends.get(trial.trial)
    return end.status if end is not None else None


def _delivered_of(trial: TrialProposed) -> tuple[str, int, int]:
    """What a trial delivers: its model in words, its parameters and MACs."""
    stage = next(one for one in trial.stages if one.name == trial.deliver)
    return stage.model, trial.params, trial.macs


def _key_of(trial: TrialProposed) -> str:
    return next(one.key for one in trial.stages if one.name == trial.deliver)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
