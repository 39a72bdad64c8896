"""What a confirmation adds to a report; a damaged or foreign one is a sentence."""

import csv
import json
import statistics

import pytest
from made_search import control, try_weight

import dmtsearch
from dmtsearch.evidence import Looks, decide
from dmtsearch.reporting import answer, residual_sd

pytestmark = pytest.mark.usefixtures("quick_figures")
SEEDS = (11001, 11002, 11003, 11004, 11005)
CHOSEN = (0.90, 0.91, 0.89, 0.92, 0.90)
DIRECT = (0.88, 0.885, 0.87, 0.90, 0.875)
SCRATCH = (0.86, 0.85, 0.86, 0.87, 0.865)


def kept(chosen=CHOSEN, recommended="chosen"):
    """`confirm.json` as `confirm` would write it after five replicates of trial 1."""
    looks = Looks.of_plan((5, 8), 1)
    scores = {"direct_long": DIRECT, "scratch_long": SCRATCH}
    differences = {
        arm: [a - b for a, b in zip(chosen, values, strict=True)] for arm, values in scores.items()
    }
    decision = decide(differences, looks)
    result = {
        "verdict": str(decision.verdict),
        "over": decision.stop,
        "futile": decision.futile,
        "plan": 1,
        "n": 5,
        "chosen": {"trial": 1, "accuracy": statistics.fmean(chosen), "sd": 0.01},
        "controls": [
            {
                "arm": arm,
                "difference": paired.mean,
                "interval": list(paired.interval(looks.confidence)),
                "interval_90": list(paired.interval(0.9)),
                "n": 5,
                "p": 2 * min(paired.p, 1 - paired.p),
                "verdict": str(verdict),
                "accuracy": statistics.fmean(scores[arm]),
            }
            for arm, (paired, verdict) in decision.controls.items()
        ],
        "missing_controls": {"best_direct": "it is direct_long"},
        "confidence": looks.confidence,
        "test_n": 700,
        "seeds": {"choose": [10001, 10002, 10003], "test": list(SEEDS)},
        "margin": 0.005,
        "power": {"sd_on_val": 0.01, "wins": {"1 points": 0.4}},
        "first_model": "trained",
        "recommended": recommended,
    }
    plan = {"looks": {"at": [5, 8], "plan": 1, "level": 0.025, "bound": looks.bound},
            "candidates": [1, 0]}  # fmt: skip
    opening = {"opened": "2026-03-02T10:00:00+00:00", "plan": 1, "replicates": 5}
    return {**result, "plans": [plan], "openings": [opening], "result": result}


@pytest.fixture
def confirmed(tiny):
    """A run with a confirmation; returns its folder."""

    def make(chosen=CHOSEN, recommended="chosen"):
        run = tiny()
        for arm, accuracy in (("scratch_long", 0.86), ("direct_long", 0.95)):
            control(run, arm, 0, accuracy)
        trial = try_weight(run, 0.3, 0.9)
        try_weight(run, 0.6, 0.9)
        root = run.stop()
        found = json.dumps(kept(chosen, recommended)).replace(
            '"trial": 1', f'"trial": {trial.trial}'
        )
        (root / "confirm.json").write_text(found)
        with (root / "confirm.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("phase", "replicate", "seed", "arm", "accuracy"))
            for arm, values in (("chosen", chosen), ("direct_long", DIRECT),
                                ("scratch_long", SCRATCH)):  # fmt: skip
                writer.writerows(
                    ("test", n, seed, arm, value)
                    for n, (seed, value) in enumerate(zip(SEEDS, values, strict=True), start=1)
                )
        effect = {"dimension": "hints", "variant": "no hints at student", "effect": 0.001,
                  "interval": [-0.004, 0.006], "n": 5, "p_holm": 0.6}  # fmt: skip
        (root / "policy.json").write_text(json.dumps([effect]))
        header = "# a verdict\n# made by dmtsearch confirm\n"
        (root / "recommended.yaml").write_text(header + trial.schedule)
        return root

    return make


def test_a_win_is_the_answer_with_its_smallest_difference_interval_and_n(confirmed, tmp_path):
    root = confirmed()
    written = dmtsearch.report(root, out=tmp_path / "report")
    said = answer(written.summary)
    # By hand: .904 - .882 = .022, the smaller of the two differences.
    assert said.startswith(
        "Yes: teacher to student in one hop; +2.20 points over the best control at the same "
        "training cost"
    )
    assert "The chosen schedule is better than every control: +2.20 points" in said
    assert "beside direct_long" in said
    assert "n = 5" in said
    assert "trial 2" in said
    assert "90.40 % on test" in said
    assert written.next_command == f"dmtsearch train {root} --out out/tiny"
    page = written.page.read_text(encoding="utf-8").replace("\u00a0", " ")
    for words in (
        "BEATS",
        "seeds 11001 to 11005",
        "The test split was opened 1 time,",
        "40 % at 1 points",
        "There is no control best_direct: it is direct_long.",
        "of test accuracy are left (sd, 3 schedules on 5 seeds)",
        "Where hints are placed: no effect seen at this n; the chosen schedule instead of "
        "“no hints at student”: +0.10 points (95 % -0.40 to +0.60, n = 5",
    ):
        assert words in page, words
        assert words in written.markdown.read_text(encoding="utf-8"), words


def test_noise_is_what_the_means_of_arms_and_seeds_leave():
    # By hand: every mean is .5, so .5 is left four times, and one degree of freedom.
    assert residual_sd([[1.0, 0.0], [0.0, 1.0]]) == pytest.approx(1.0)
    assert residual_sd([[0.1, 0.2, 0.4], [0.3, 0.4, 0.6]]) == pytest.approx(0.0)


def test_a_loss_names_the_control_to_train(confirmed, tmp_path):
    root = confirmed(chosen=(0.80, 0.81, 0.79, 0.82, 0.80), recommended="direct_long")
    said = answer(dmtsearch.report(root, out=tmp_path / "report").summary)
    assert said.startswith(
        "No: train the small model from the first one directly, for longer; the best schedule of "
        "the search was worse. direct_long and scratch_long are better than the chosen schedule"
    )
    assert "Train direct_long, 88.20 % on test" in said


def test_a_gain_out_of_reach_begins_a_sentence_of_its_own(confirmed, tmp_path):
    root = confirmed(chosen=(0.872, 0.888, 0.868, 0.902, 0.870), recommended="direct_long")
    said = answer(dmtsearch.report(root, out=tmp_path / "report").summary)
    assert ". A gain of 0.50 points is out of reach" in said


def test_a_given_teacher_and_students_of_each_are_said(confirmed, tmp_path):
    root = confirmed()
    kept = json.loads((root / "confirm.json").read_text())
    more = {"first_model": "given", "students": 2}
    kept["result"] |= more
    (root / "confirm.json").write_text(json.dumps({**kept, **more}))
    written = dmtsearch.report(root, out=tmp_path / "report")
    assert "better than every control, for this teacher" in answer(written.summary)
    page = written.page.read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "students of it: the verdict is for this teacher alone" in page
    assert "trained with 2 students of each first model" in page
    assert "n = 5 teachers" in page


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(lambda text: text[: len(text) // 2], "cannot be read", id="half"),
        pytest.param(lambda text: "", "confirm.json cannot be read", id="empty"),
        pytest.param(lambda text: "[1, 2]", "confirm.json cannot be read", id="a list"),
        pytest.param(
            lambda text: text.replace('"accuracy": 0.', '"accuracy": NaN, "x": 0.', 1).replace(
                '"test_n": 700', '"test_n": NaN'
            ),
            "confirm.json cannot be read",
            id="not a number",
        ),
        pytest.param(
            lambda text: text.replace('"trial": 2', '"trial": 77'),
            "it speaks of trial 77, which is no search trial of this run",
            id="another run's",
        ),
        pytest.param(
            lambda text: text.replace('"BEATS"', '"WINS"'), "confirm.json cannot be read",
            id="a verdict that is none",
        ),
    ],
)  # fmt: skip
def test_a_confirmation_that_cannot_be_read_is_a_sentence_beside_what_val_says(
    confirmed, tmp_path, damage, said
):
    root = confirmed()
    file = root / "confirm.json"
    file.write_text(damage(file.read_text()))
    written = dmtsearch.report(root, out=tmp_path / "report")
    words = answer(written.summary)
    assert said in words
    assert words.startswith("Not confirmed: by val accuracy the control arm direct_long is best")
    assert "nan %" not in words


def test_a_plan_without_a_look_is_not_confirmed_and_goes_on(confirmed, tmp_path):
    root = confirmed()
    found = json.loads((root / "confirm.json").read_text())
    (root / "confirm.json").write_text(
        json.dumps({"plans": found["plans"], "openings": [], "result": {}})
    )
    written = dmtsearch.report(root, out=tmp_path / "report")
    assert "has not come to its first look, at 5 replicates" in answer(written.summary)
    assert written.next_command == f"dmtsearch confirm {root}"


def test_damaged_tables_leave_the_verdict(confirmed, tmp_path):
    root = confirmed()
    (root / "policy.json").write_text('[{"effect": NaN}]')
    (root / "confirm.csv").write_bytes(b"\xff\x00phase")
    (root / "confirm").mkdir()
    (root / "confirm" / "ledger.jsonl").write_text("{no json\n{}\n")
    written = dmtsearch.report(root, out=tmp_path / "report")
    said = answer(written.summary)
    assert said.startswith("Yes: ")
    assert "policy.json cannot be read" in said
