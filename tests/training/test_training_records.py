"""A stored stage whose record somebody wrote: each field that is read has a type."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from fuzzing import mutate
from training_pieces import HINT, SMALL, pair, schedule

from dmtsearch.files import canonical_json, sha256_text
from dmtsearch.training import check_hints, check_stage


def rewrite(store, key, change):
    """Change an object's record, and the hash that its manifest has of itself."""
    path = Path(store.where) / "objects" / key[:2] / key / "manifest.json"
    path.chmod(0o644)
    body = json.loads(path.read_text())
    del body["check"]
    change(body)
    body["check"] = sha256_text(canonical_json(body))
    path.write_text(json.dumps(body))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda record: record.update(epochs="2"), "epochs: input should be a valid integer"),
        (lambda record: record.pop("latency"), "latency: is missing"),
        (lambda record: record["metrics"]["val"].pop("n"), r"metrics\.val: lacks an accuracy"),
        (lambda record: record["history"][0].update(epoch=None), r"history\.0\.epoch: "),
        (lambda record: record["view"].update(mean=None), r"view\.mean: input should be a valid"),
        (lambda record: record.update(val_sweep={"sweep": 3}), r"val_sweep\.sweep: "),
    ],
)
def test_a_stage_with_an_odd_record_is_named_set_aside_and_trained_again(bench, change, problem):
    made = schedule({"m": {"model": SMALL}})
    first = bench.run(made)["m"]
    rewrite(bench.store, first.key, lambda body: change(body["record"]))
    again = bench.run(made)["m"]
    assert not again.reused
    assert again.record["metrics"] == first.record["metrics"]
    [told] = [text for text in bench.told if "is damaged" in text]
    assert re.search(f"its record has a wrong field: {problem}", told)


def test_a_hint_phase_and_a_failure_with_odd_records_are_made_again(bench):
    hinted = pair({"hints": [HINT], "hint_phase": {"epochs": 1}})
    bench.run(hinted)
    job = bench.jobs(hinted)["student"]
    rewrite(bench.store, job.keys.hint_key, lambda body: body["record"].update(history={}))
    rewrite(
        bench.store,
        job.keys.key,
        lambda body: body.update(status="failed", files={}, record={"phase": "train"}),
    )
    student = bench.run(hinted)["student"]
    assert not student.reused
    assert not student.hints_reused
    told = "\n".join(bench.told)
    assert "history: input should be a valid list" in told
    assert "epoch: is missing" in told


def only_value_errors(record, seeds):
    for seed in seeds:
        try:
            odd = json.loads(mutate(record, seed))
        except (ValueError, RecursionError):
            continue
        for check in (check_stage, check_hints):
            for failed in (False, True):
                try:
                    check(SimpleNamespace(failed=failed, record=odd))
                except ValueError:
                    continue
                except Exception as error:
                    raise AssertionError(f"seed {seed}: {error!r}") from error


def test_odd_records_raise_only_value_errors(bench):
    only_value_errors(bench.run(schedule({"m": {"model": SMALL}}))["m"].record, range(300))


@pytest.mark.fuzz
def test_20000_odd_records_raise_only_value_errors(bench):
    only_value_errors(bench.run(schedule({"m": {"model": SMALL}}))["m"].record, range(20_000))
