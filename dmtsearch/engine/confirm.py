"""`dmtsearch confirm`: whether a run's best schedule beats its controls, on fresh seeds."""

import statistics
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dmtsearch.errors import DmtSearchError, UsageError
from dmtsearch.evidence import LookResult, decide
from dmtsearch.evidence.words import answer, seeable
from dmtsearch.files import write_atomic, write_json
from dmtsearch.human import amount, command_line, counted, points
from dmtsearch.schedule import Schedule, dump_schedule, parse_schedule

from .confirm_arms import CHOSEN, AtCost, PathArm, is_given, sharing_first
from .confirm_explain import arm_of, effects
from .confirm_kinds import confirm_kind
from .confirm_plan import (
    Confirmation,
    ConfirmPaths,
    ConfirmPlan,
    read_confirmation,
    write_confirmation,
)
from .confirm_request import ConfirmRequest, next_plan
from .confirm_result import look_result, power_of, recommend, recommended_text
from .confirm_table import ConfirmTable
from .confirm_training import (
    InterruptedConfirmError,
    PathTrainer,
    TrainedPaths,
    is_complete,
    path_arms,
)
from .confirm_trials import Searched
from .confirm_variants import DIMENSIONS, ChosenPath
from .console import ConsoleView
from .driver_options import DriverOptions
from .equal_size import with_own_size
from .interrupts import advising, how_to_go_on
from .ledger_lines import now
from .messages import Prepare
from .opening import TestSplit
from .prepare import PrepareContext, open_run, points_of, preparer
from .reopening import Reopened, reopen
from .run import Run
from .run_folder import held, keep_data, write_space
from .run_tables import write_summary


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
    go_on = command_line("confirm", root, *request.options)
    with advising(lambda: how_to_go_on(root, go_on)):
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
            work = _Confirming(replace(opened, info=info), paths, options, go_on)
            try:
                done = work.run(request)
            finally:
                work.close()
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


class _Confirming:
    """One call of `confirm`, in a folder that this process holds."""

    def __init__(
        self, opened: Reopened, paths: ConfirmPaths, options: DriverOptions, go_on: str
    ) -> None:
        from dmtsearch.training.schedule_data import data_facts

        self._opened, self._paths = opened, paths
        self._view = options.view or ConsoleView()
        anchor = opened.space.anchor().with_seed(opened.info.seed)
        self._given = is_given(anchor, opened.space.search.first_model)
        first_seed = opened.info.seed if self._given else None
        self._searched = Searched.of(opened.paths, first_seed=first_seed)
        self._kind = confirm_kind(anchor)
        self._context: PrepareContext = open_run(opened.space, anchor, opened.info.folder)
        root, facts = opened.paths.root, data_facts(self._context.data)
        keep_data(opened.info, facts, root, resumed=True, tell=self._view.tell)
        self._prepare: Prepare = preparer(self._context)
        self._test = TestSplit(self._context, opened.store, paths, self._kind)
        self._trainer = PathTrainer(opened, paths, replace(options, view=self._view), go_on)
        self.confirmation: Confirmation = read_confirmation(paths)
        self._table = ConfirmTable(paths)

    def close(self) -> None:
        """End what it has started."""
        self._trainer.close()

    def run(self, request: ConfirmRequest) -> bool:
        """Do all that is left of the plan; whether it came to its end."""
        try:
            self._make_plan(request)
            self._choose()
            decision = self._look()
            if request.explain:
                self._explain(decision.n, tuple(request.vary or DIMENSIONS))
        except InterruptedConfirmError:
            return False
        return True

    # -- the plan -------------------------------------------------------------------------------

    def _candidates(self, request: ConfirmRequest) -> tuple[int, ...]:
        top, last = request.top, self.confirmation.plan if self.confirmation.plans else None
        if last is not None and top is None and request.trial is None:
            if request.more or not self.confirmation.is_over:
                return last.candidates
            top = len(last.candidates)
        return self._searched.candidates(top, request.trial, one_model=self._kind.one_model)

    def _make_plan(self, request: ConfirmRequest) -> None:
        found = self.confirmation
        candidates = self._candidates(request)
        plan = next_plan(
            found,
            request,
            candidates,
            run_seed=self._opened.info.seed,
            is_given=self._given,
            takes_students=self._kind.takes_students,
            go_on=self._paths.go_on,
        )
        if plan is None:
            if request.more and not found.is_over:
                self._view.tell("the plan has not ended: going on with it before there are more")
            return
        if len(candidates) == 1:
            self._with_controls(*candidates)  # refused before the first training
        self.confirmation = replace(found, plans=(*found.plans, plan))
        self._write()
        each = f", {plan.students} students for each first model" if plan.students > 1 else ""
        self._view.tell(
            f"plan {len(self.confirmation.plans)}: looks at {_listed(plan.looks.at)} "
            f"replicates{each}, two-sided p under {2 * plan.looks.bound:.4f} at each"
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
            paths = [
                PathArm(f"choose_{number}", self._to_choose(number), seed)
                for seed in plan.choosing_seeds
                for number in plan.candidates
            ]
            trained = self._trainer.train(paths)
            means = {
                number: statistics.fmean(
                    self._val(f"choose_{number}", seed, trained) for seed in plan.choosing_seeds
                )
                for number in plan.candidates
            }
            if not any(means.values()):
                raise DmtSearchError(
                    f"no path could be trained to choose by: {trained.first_failure}. Look at "
                    f"{self._paths.trials}"
                )
            chosen = max(plan.candidates, key=lambda number: means[number])
            self._note_choosing(trained, plan)
        cost, arms, missing = self._with_controls(chosen)
        controls = tuple(name for name in arms if name != CHOSEN)
        written = {name: dump_schedule(schedule) for name, schedule in arms.items()}
        plan = replace(
            plan, chosen=chosen, cost=cost, controls=controls, missing=missing, schedules=written
        )
        self.confirmation = self.confirmation.with_plan(plan)
        self._write()
        most = f", each for at most {amount(cost)} sample-MACs" if self._kind.at_equal_cost else ""
        self._view.tell(f"chosen: trial {chosen}; controls: {', '.join(controls)}{most}")

    def _with_controls(self, trial: int) -> tuple[int, dict[str, Schedule], dict[str, str]]:
        """What each arm may cost, a trial's schedule with its controls, and why others lack."""
        cost = self._cost(self._searched.schedule(trial))
        at_cost = self._at_cost(cost)
        chosen = self._chosen(trial, at_cost)
        controls, missing = self._kind.controls(chosen, self._searched, at_cost, self._prepare)
        if not controls:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
            space = self._opened.paths.space
            search = command_line("search", space, "--out", "NEW_RUN")
            raise UsageError(
                f"trial {trial} has no control to be compared with ({reasons}): a verdict needs a "
                f"schedule that learns from another model, or one to learn from; name another "
                f"trial with --trial N, or give the space a source and search anew: {search}"
            )
        return cost, {CHOSEN: chosen, **controls}, missing

    def _arms(self) -> tuple[ConfirmPlan, int, dict[str, Schedule]]:
        """The plan, what each arm may cost, and the chosen schedule with its controls."""
        plan = self.confirmation.plan
        assert plan.chosen is not None
        assert plan.cost is not None
        if not plan.schedules:  # begun by a version that did not write them down
            made = self._with_controls(plan.chosen)[1]
        else:
            made = {
                name: parse_schedule(text, f"{self._paths.plan}: {name}")
                for name, text in plan.schedules.items()
            }
        return plan, plan.cost, made

    def _chosen(self, number: int, at_cost: AtCost) -> Schedule:
        """A trial's schedule as its replicates run it, its delivered model written out."""
        schedule = at_cost(self._searched.schedule(number))
        return with_own_size(schedule, self._context.resolve(schedule))

    def _to_choose(self, number: int) -> Schedule:
        """Replicates that choose may share a first model: what is tested is trained anew."""
        schedule = self._searched.schedule(number)
        if self._given:
            return schedule
        return sharing_first(schedule, self.confirmation.plan.choosing_seeds[0])

    def _note_choosing(self, trained: TrainedPaths, plan: ConfirmPlan) -> None:
        for number in plan.candidates:
            for place, seed in enumerate(plan.choosing_seeds, 1):
                arm = f"choose_{number}"
                self._table.add("choose", place, arm, seed, trained, self._val(arm, seed, trained))

    # -- test -----------------------------------------------------------------------------------

    def _look(self) -> LookResult:
        plan, _, arms = self._arms()
        self._warn_small(plan)
        for n in plan.looks.at:
            replicates, trained = self._trainer.replicates(arms, plan, n)
            power_found = self._power(plan, arms, replicates, trained)
            self._open(plan, n, replicates)
            scores = {
                arm: [self._tested("test", r, arm, trained) for r in replicates] for arm in arms
            }
            differences = {
                name: [a - b for a, b in zip(scores[CHOSEN], scores[name], strict=True)]
                for name in arms
                if name != CHOSEN
            }
            decision = decide(differences, plan.looks, plan.margin)
            result = look_result(
                plan,
                len(self.confirmation.plans),
                decision,
                scores,
                replicates,
                given=self._given,
                test_n=self._test.n,
                power=power_found,
                words=self._words(arms[CHOSEN]),
            )
            self._keep(result)
            self._view.tell(f"{n} replicates: {result['answer']}")
            if decision.stop:
                break
        delivered = {arm: self._kind.delivers(arm, schedule) for arm, schedule in arms.items()}
        name = recommend(decision, scores, {arm: made for arm, (made, _) in delivered.items()})
        schedule, note = delivered[name]
        text = recommended_text(
            self._paths,
            result,
            name,
            statistics.fmean(scores[name]),
            schedule.with_seed(self._opened.info.seed),
            note,
        )
        with self._paths.writing():
            write_atomic(self._paths.recommended, text)
        self._keep({**result, "recommended": name})
        return decision

    def _power(
        self,
        plan: ConfirmPlan,
        arms: Mapping[str, Schedule],
        replicates: Sequence[int],
        trained: TrainedPaths,
    ) -> Mapping[str, Any]:
        """What the plan can find, by the spread of val over its first five replicates."""
        kept = self.confirmation.result.get("power")
        if kept and self.confirmation.result.get("plan") == len(self.confirmation.plans):
            return dict(kept)
        found = power_of(
            plan,
            {
                arm: [
                    statistics.fmean(self._val(arm, seed, trained) for seed in plan.seeds_of(r))
                    for r in replicates[:5]
                ]
                for arm in arms
            },
        )
        shown = ", ".join(f"{100 * wins:.0f} % at {gain}" for gain, wins in found["wins"].items())
        self._view.tell(
            "before the test split is opened: the paired spread on val is "
            f"{points(found['sd_on_val'])[1:]}; with it this plan finds a true gain in {shown}"
        )
        return found

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
        words = seeable(self._test.n, self._searched.val(plan.chosen))
        if words is not None:
            self._view.tell(words)

    def _keep(self, result: Mapping[str, Any]) -> None:
        before = self.confirmation.result
        if before and before["chosen"]["trial"] != result["chosen"]["trial"]:
            # They speak of the schedule that was chosen before.
            for path in (self._paths.policy, self._paths.recommended):
                path.unlink(missing_ok=True)
        self.confirmation = replace(self.confirmation, result=result)
        self._write()
        run = self._opened.paths
        with run.writing():
            write_summary(run, self._searched.state)

    # -- explain --------------------------------------------------------------------------------

    def _explain(self, n: int, wanted: Sequence[str]) -> None:
        """Train the variants of some dimensions; say their effects beside those known before."""
        plan, cost, every = self._arms()
        explained = tuple(one for one in DIMENSIONS if one in {*wanted, *plan.explained})
        known = self._kind.variants(self._chosen_path(plan, cost, every[CHOSEN]), explained)
        variants = [one for one in known if one.dimension in wanted]
        if not variants:
            self._view.tell(
                "nothing to explain: the chosen schedule uses none of these dimensions"
            )
            return
        paths = len(variants) * n * plan.students
        self._view.tell(
            f"explaining: {counted(len(variants), 'variant')} of the chosen schedule, n = {n}: "
            f"{counted(paths, 'path')} of at most {amount(cost)} sample-MACs (--vary takes fewer)"
        )
        seeds = self.confirmation.result["seeds"]["test"]
        replicates = [plan.replicate_of(seed) for seed in seeds]
        trained = self._trainer.train(
            [
                arm
                for r in replicates
                for one in variants
                for arm in path_arms(plan, r, arm_of(one), one.schedule)
            ]
        )
        differences = {
            name: [
                self._tested("test", r, CHOSEN, trained)
                - self._tested("explain", r, name, trained)
                for r in replicates
                if is_complete(trained, plan, r, name)
            ]
            for name in map(arm_of, known)
        }
        with self._paths.writing():
            write_json(self._paths.policy, effects(known, differences))
        self.confirmation = self.confirmation.with_plan(replace(plan, explained=explained))
        self._write()

    def _chosen_path(self, plan: ConfirmPlan, cost: int, chosen: Schedule) -> ChosenPath:
        assert plan.chosen is not None
        at_cost = self._at_cost(cost)
        return ChosenPath(
            schedule=chosen,
            space=self._opened.space,
            values=self._searched.state.trials[plan.chosen].values,
            at_cost=lambda schedule: at_cost(self._searched.as_path(schedule)),
            prepare=self._prepare,
            points=partial(points_of, self._context.resolve(chosen), self._context.objects),
        )

    # -- score and write ------------------------------------------------------------------------

    def _words(self, chosen: Schedule) -> dict[str, Any]:
        kind = self._kind
        return {
            "metric": kind.metric,
            "subject": kind.subject(chosen),
            "equal_cost": kind.at_equal_cost,
        }

    def _val(self, arm: str, seed: int, trained: TrainedPaths) -> float:
        """The metric of a path on val; 0 of one that was not begun."""
        trial = trained.find(arm, seed)
        return 0.0 if trial is None else self._kind.val(arm, trial, trained.state)

    def _tested(self, phase: str, place: int, arm: str, trained: TrainedPaths) -> float:
        """The test metric of an arm of a replicate: the mean over its students."""
        return statistics.fmean(
            self._score(phase, place, arm, seed, trained)
            for seed in self.confirmation.plan.seeds_of(place)
        )

    def _score(self, phase: str, place: int, arm: str, seed: int, trained: TrainedPaths) -> float:
        trial = trained.find(arm, seed)
        assert trial is not None, "it is done"
        found = self._test.score(
            arm,
            trial.key,
            lambda: self._prepare(parse_schedule(trial.schedule, f"trial {trial.trial}")),
        )
        self._table.add(phase, place, arm, seed, trained, found, self._test.n)
        return found

    def _write(self) -> None:
        """Write `confirm.csv`, then `confirm.json`, which says that its rows are there."""
        self._table.write()
        write_confirmation(self._paths, self.confirmation)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
