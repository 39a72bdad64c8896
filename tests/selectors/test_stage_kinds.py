"""A kind of stage is a row: the row is asked, and nobody else asks of what kind a stage is."""

import pickle
import re
from dataclasses import dataclass, replace
from pathlib import Path

from select_pieces import select_schedule

import dmtsearch
from dmtsearch.stage_kinds import STAGE_KINDS, bundle_class
from dmtsearch.training import StageCosts, TrainingKind, resolve

PACKAGE = Path(dmtsearch.__file__).parent
ASKS = re.compile(r"select is (not )?None|isinstance\([^)]*Select|stage\.kind [!=]= ")
ROOMS = ("schedule", "space", "selectors")
"""Where what is a selector is decided, or all is one."""
OF_SELECTORS = ("engine/confirm_selectors.py", "reporting/selector_results.py")
"""Files of selectors alone: their confirmation, and their section of a report."""


def test_nobody_but_the_rows_asks_whether_a_stage_is_a_selector():
    asking = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in ROOMS and ASKS.search(path.read_text())
    }
    assert asking <= set(OF_SELECTORS)


@dataclass(frozen=True)
class FreeKind(TrainingKind):
    """A kind that costs nothing, with one more number to answer."""

    def costs(self, resolved, num_samples):
        return StageCosts(0, 0, 0, repeated=False)

    def num_outputs(self, stage, facts):
        return facts.num_classes + 1


def test_another_row_is_asked_for_size_and_cost(kept):
    data, made = kept[0].data, select_schedule()
    sizes = data.split_sizes
    kinds = {name: row.kind for name, row in STAGE_KINDS.items()} | {"training": FreeKind()}
    given = {"num_train": sizes["train"], "num_selector": sizes["selector"]}
    plan = resolve.resolve(made, data.facts, kinds=kinds, **given)
    assert (plan.stage("a").cost(), plan.stage("a").num_classes) == (0, data.facts.num_classes + 1)
    assert plan.stage("selector").cost() > 0


def test_a_job_that_is_sent_to_another_process_has_its_kind(kept):
    job = kept[0].jobs(select_schedule())["selector"]
    again = pickle.loads(pickle.dumps(job))
    assert again.resolved.kind == job.resolved.kind == STAGE_KINDS["selector"].kind
    assert again.resolved.kind != STAGE_KINDS["training"].kind
    assert replace(again, resolved=job.resolved).keys == job.keys


def test_a_bundle_is_of_the_kind_of_its_block():
    assert bundle_class({"selector": {}}) is STAGE_KINDS["selector"].bundle
    assert bundle_class({"selector": None, "model": {}}) is STAGE_KINDS["training"].bundle
