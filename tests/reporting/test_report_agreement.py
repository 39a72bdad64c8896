"""How alike students and sources answer, from the trained stages in the store."""

import shutil

import numpy as np
import pytest
from made_search import try_weight

import dmtsearch
from dmtsearch.engine import predict_chain
from dmtsearch.reporting import compare_answers, read_run, summarize

CHAIN = """\
dmtsearch: 1
name: handed-on
data: {name: digits, train: 300, val: 200}
search: {trials: 1}
defaults: {epochs: 1, optimizer: {name: adam, lr: 0.01, batch: 32}}
stages:
  teacher: {model: {family: plain, widths: [4, 8]}}
  student:
    source: teacher
    model: {family: plain, widths: [4, 4]}
    soft: {weight: {choice: [0.5, 0.9]}}
"""


def test_kappa_and_inherited_errors_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 1])
    source = np.array([0, 0, 0, 1, 1, 1, 1, 0, 1, 0])  # wrong in the last three and at 3
    student = np.array([0, 0, 1, 1, 1, 1, 0, 0, 0, 1])
    pair = compare_answers("teacher", "student", labels, source, student)
    # Same at 0, 1, 3, 4, 5, 7: .6. Each says 1 in five of ten: by chance .5, kappa .1 / .5.
    assert pair.agreement == pytest.approx(0.6)
    assert pair.kappa == pytest.approx(0.2)
    assert (pair.errors, pair.inherited) == (4, 2)


def test_models_that_always_give_one_class_have_no_kappa():
    one = np.zeros(5, dtype=int)
    pair = compare_answers("a", "b", one, one, one)
    assert (pair.agreement, pair.kappa, pair.errors) == (1.0, None, 0)


@pytest.mark.usefixtures("quick_figures")
def test_a_run_whose_store_is_elsewhere_says_so(tiny, tmp_path):
    run = tiny()
    try_weight(run, 0.3, 0.9)
    page = dmtsearch.report(run.stop(), out=tmp_path / "report").page.read_text(encoding="utf-8")
    assert "Agreement of students and sources is not shown: the store with the trained" in page


@pytest.mark.usefixtures("quick_figures")
def test_a_schedule_with_its_authors_own_code_runs_none_of_it(tiny, tmp_path):
    def predict(trial):
        return predict_chain(run.root, trial)

    run = tiny()
    try_weight(run, 0.3, 0.9)
    plain, own = "{family: plain, widths: [32, 64], convs: 2}", "{factory: 'evil:run'}"
    ledger = run.paths.ledger
    ledger.write_text(ledger.read_text().replace(plain, own))
    found = summarize(read_run(run.root), predict).agreement
    assert "its author's own code, which a report does not run" in found.missing


@pytest.mark.usefixtures("quick_figures")
@pytest.mark.engine  # starts no Ray
def test_the_stages_of_the_recommended_chain_are_compared_on_val(tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text(CHAIN)
    store = tmp_path / "store"
    dmtsearch.search(space, out=tmp_path / "run", store=store, backend="inline")
    report = dmtsearch.report(tmp_path / "run", out=tmp_path / "report")
    (pair,) = report.summary.agreement.pairs
    assert (pair.source, pair.student, pair.n) == ("teacher", "student", 200)
    # The source's errors are those of its accuracy on val.
    run = report.summary.record
    teacher = next(line for line in run.stage_lines if line.name == "teacher")
    assert pair.errors == round(200 * (1 - teacher.metrics["accuracy"]))
    assert f"{100 * pair.agreement:.2f} %" in report.page.read_text(encoding="utf-8")
    assert (report.folder / "agreement.csv").read_text().startswith("source,student,n,agreement")
    # Made again without the store, the page says what is missing, and nothing fails.
    shutil.rmtree(store)
    again = dmtsearch.report(tmp_path / "run", out=tmp_path / "again")
    assert (
        "store with the trained stages is not on this machine" in again.summary.agreement.missing
    )
