"""`dmtsearch check`: everything wrong at once, else everything that would run. Trains nothing."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from dmtsearch.machine import slots_here

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))


@pytest.mark.parametrize("file", SPACES, ids=lambda file: file.stem)
def test_every_shipped_file_passes_without_its_data(run, file, monkeypatch, tmp_path):
    monkeypatch.setenv("DMTSEARCH_DATA", str(tmp_path / "no data here"))
    ran = run("check", "--no-time", file, "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["ok"], found["problems"]) == (0, True, [])
    assert found["stages"]


@pytest.mark.parametrize("file", SPACES, ids=lambda file: file.stem)
def test_every_shipped_file_opens_with_its_question_and_budget(file):
    head = file.read_text().split("dmtsearch: 1")[0]
    for word in ("# Question:", "# Scientific:", "# Nuisance:", "# Fixed:", "# Budget:"):
        assert word in head


def test_a_schedule_is_told_stage_by_stage(run, small):
    found = json.loads(run("check", "--no-time", small, "--json").out)
    teacher, student = found["stages"]
    # By hand, 1x8x8 input: conv 9*1*8+8, norm 16, conv 9*8*16+16, norm 32, head 16*2*2*10+10.
    assert teacher["params"] == 80 + 16 + 1168 + 32 + 650
    # conv 9*8 at 64 places, conv 9*8*16 at 16 places, head 640.
    assert teacher["macs"] == 72 * 64 + 1152 * 16 + 640
    assert (teacher["name"], teacher["source"], teacher["epochs"]) == ("teacher", None, 1)
    assert teacher["cost"] == 256 * 3 * teacher["macs"]
    assert (student["source"], student["hint_epochs"]) == ("teacher", 1)
    (hint,) = student["hints"]
    assert (hint["source"], hint["source_shape"]) == ("teacher.block1", [8, 4, 4])
    assert (hint["at"], hint["at_shape"]) == ("block1", [4, 4, 4])
    assert hint["adapter"] == "conv3x3 4 to 8, norm, relu"
    # 3 M epochs + 3 M_hint hint epochs + one pass of the source; M_hint is the first conv.
    assert student["cost"] == 256 * (3 * student["macs"] + 3 * 36 * 64 + teacher["macs"])
    assert found["cold_cost"] == teacher["cost"] + student["cost"]
    assert found["given_cost"] == student["cost"]
    assert found["deliver"] == "student"


def test_the_store_is_asked_what_it_has(run, small, tmp_path):
    small.write_text(small.read_text() + "    merit: {rule: hard}\n")
    before = json.loads(run("check", "--no-time", small, "--json").out)
    assert [stage["shared"] for stage in before["stages"]] == [False, False]
    assert not (tmp_path / "store").exists()
    assert run("train", small, "--out", tmp_path / "out").code == 0
    after = json.loads(run("check", "--no-time", small, "--json").out)
    assert [stage["shared"] for stage in after["stages"]] == [True, True]
    (note,) = set(after["notes"]) - set(before["notes"])
    assert re.match(r"stage 'student': merit gives \d+\.\d % of 256 training samples", note)


def test_it_prints_both_prices_of_a_schedule_with_a_first_model(run, small, tmp_path):
    assert "where the first model is given" in run("check", small).out
    alone = tmp_path / "alone.yaml"
    alone.write_text("""
dmtsearch: 1
data: {name: digits, train: 200, val: 50}
stages: {student: {model: {family: plain, widths: [2]}, epochs: 1}}
""")
    assert "first model" not in run("check", alone).out


def test_it_prints_a_table_and_the_next_command(run, small):
    ran = run("check", "--no-time", small)
    assert ran.code == 0
    assert "teacher.block1 [8, 4, 4] to student.block1 [4, 4, 4]" in ran.out
    assert f"Next: dmtsearch train {small} --out out/small" in ran.out


def test_the_data_line_names_the_classes_and_says_what_is_not_on_this_machine(
    run, small, tmp_path, monkeypatch
):
    monkeypatch.setenv("DMTSEARCH_DATA", str(tmp_path / "no data here"))
    text = small.read_text()
    small.write_text(text.replace("name: digits, train: 256, val: 128", "name: cifar10"))
    shown = run("check", "--no-time", small).out
    assert "data      cifar10: 3x32x32, 10 classes; test 10,000, val " in shown
    assert "; not on this machine\n" in shown
    small.write_text(
        text.replace("epochs: 1,", "epochs: {choice: [1, 2]},").replace("digits", "cifar10")
    )
    shown = run("check", "--no-time", small).out
    assert "; not on this machine\n" in shown
    for name in ("cat", "dog"):
        for number in range(10):
            paint(tmp_path / "pets" / "Train" / name / f"{number}.png", number)
    small.write_text(
        text.replace("batch: 64", "batch: 8").replace(
            "name: digits, train: 256, val: 128", "name: image_folder, args: {root: pets}"
        )
    )
    assert (
        "image_folder: 3x8x8, 2 classes (cat, dog); test 3, val 3"
        in run("check", "--no-time", small).out
    )


def paint(path, red):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (red, 0, 0)).save(path)


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        ("split", "seed your split (generator=torch.Generator().manual_seed(0))"),
        ("items", "random transforms belong into `data.augment`"),
    ],
)
def test_data_that_is_drawn_anew_is_refused_by_check_and_train(
    run, small, tmp_path, factory, expected
):
    (tmp_path / "drawn.py").write_text(
        "import torch\n"
        "from torch.utils.data import TensorDataset, random_split\n"
        "x = torch.arange(90 * 64).reshape(90, 1, 8, 8) / 6000\n"
        "y = torch.arange(90) % 3\n"
        "def split():\n"
        "    return dict(zip(('train', 'val'), random_split(TensorDataset(x, y), [60, 30])))\n"
        "class Items(TensorDataset):\n"
        "    def __getitem__(self, i):\n"
        "        return x[i] + torch.rand(()), y[i]\n"
        "def items():\n"
        "    return Items(x, y)\n"
    )
    text = small.read_text()
    data = f"data: {{factory: 'drawn:{factory}'}}"
    small.write_text(text.replace("data: {name: digits, train: 256, val: 128}", data))
    for command in (("check", small), ("train", small, "--out", "out")):
        ran = run(*command)
        assert (ran.code, expected in " ".join(ran.err.split())) == (1, True)


def test_all_problems_come_at_once_with_line_and_nearest_name(run, small):
    text = small.read_text().replace("source: teacher", "source: techer")
    small.write_text(
        text.replace("hint_phase", "hint_phas").replace("epochs: 1, opt", "epoch: 1, opt")
    )
    ran = run("check", "--no-time", small)
    assert ran.code == 1
    assert "no stage called 'techer'; did you mean 'teacher'?  (" in ran.err
    assert f"did you mean 'hint_phase'?  ({small}:12)" in ran.err
    assert f"did you mean 'epochs'?  ({small}:4)" in ran.err
    assert "Traceback" not in ran.err


def test_json_tells_the_same_problems(run, small):
    small.write_text(small.read_text().replace("at: block1", "at: blok1"))
    ran = run("check", "--no-time", small, "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["ok"], found["stages"]) == (1, False, [])
    assert "no point 'blok1'; did you mean 'block1'?" in found["problems"][0]
    assert f"({small}:11)" in found["problems"][0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            ("at: block1", "at: classifier"),
            "no adapter",
            id="shapes that no adapter can join",
        ),
        pytest.param(
            ("widths: [4, 8], convs: 1}", "size: {params: 3}, convs: 1}"),
            "3 parameters",
            id="a size out of reach",
        ),
        pytest.param(
            ("train: 256", "train: 40"),
            "a batch of 64 is larger than the training split (40 samples)",
            id="a training split smaller than a batch",
        ),
        pytest.param(
            ("train: 256", "train: 99999"),
            "requests 99999 samples",
            id="more samples than there are",
        ),
        pytest.param(
            ("name: digits", "name: digitz"),
            "did you mean 'digits'?",
            id="a misspelt data set",
        ),
        pytest.param(
            ("name: digits", "name: image_folder, args: {root: nowhere}"),
            "there is no folder nowhere",
            id="a missing data folder",
        ),
        pytest.param(
            ("widths: [8, 16], convs: 1}", "widths: [8, 16], convs: 1, weights: no.safetensors}"),
            "no.safetensors",
            id="a weights file that is not there",
        ),
    ],
)
def test_a_problem_that_only_models_or_data_show_is_told_before_training(
    run, small, change, expected
):
    small.write_text(small.read_text().replace(*change))
    ran = run("check", "--no-time", small)
    assert ran.code == 1
    assert expected in ran.err
    assert "Traceback" not in ran.err


def test_a_file_that_is_not_there_is_wrong_usage(run):
    assert run("check", "--no-time", "nowhere.yaml").code == 2


def test_schema_tells_what_severity_stands_for(run):
    ran = run("schema", "--degradations")
    assert (ran.code, ran.err) == (0, "")
    assert "| `low_light` | 5 s stops less light" in ran.out
    assert "The range is white minus black: 255 of 8-bit images" in ran.out
    assert json.loads(run("schema").out)["title"] == "dmtsearch schedule or search space"


def test_other_values_are_checked_as_train_and_search_would_take_them(run, small):
    ran = run("check", "--no-time", small, "--set", "stages.student.epochs=7", "--json")
    assert [stage["epochs"] for stage in json.loads(ran.out)["stages"]] == [1, 7]
    wrong = run("check", "--no-time", small, "--set", "stages.student.epoch=7")
    assert (wrong.code, wrong.out) == (1, "")
    assert "stages.student.epoch: no field 'epoch' here; did you mean 'epochs'?" in wrong.err


def test_other_values_of_a_space_may_be_holes_and_are_named_in_the_next_command(run):
    file = next(file for file in SPACES if file.stem == "demo")
    setting = "stages.student.epochs={int: [3, 5]}"
    ran = run("check", "--no-time", file, "--set", setting)
    assert "student.epochs" in ran.out
    assert f"--set '{setting}'" in ran.out.splitlines()[-1]


AT_EQUAL_COST = """
dmtsearch: 1
search: {equal_cost: COST, controls: [scratch_long, direct_long, merit_matched]}
data: {name: digits, train: 200, val: 100}
defaults: {epochs: 1, optimizer: {batch: 50}}
stages:
  teacher: {model: {family: plain, widths: [4], convs: 1}}
  student:
    source: teacher
    model: {family: plain, widths: [2, 2], convs: 1}
    soft: {temperature: {choice: [2, 4]}}
"""


def test_a_space_at_equal_cost_says_what_each_arm_becomes(run, tmp_path):
    file = tmp_path / "equal.yaml"
    file.write_text(AT_EQUAL_COST.replace("COST", "true"))
    found = json.loads(run("check", "--no-time", file, "--json").out)
    assert found["equal_cost"]["cost"] == found["cold_cost"]
    arms = {arm["arm"]: arm for arm in found["equal_cost"]["arms"]}
    assert list(arms) == ["search", "scratch_long", "direct_long", "merit_matched"]
    assert (arms["search"]["epochs"], arms["direct_long"]["epochs"]) == (1, 1)
    student = found["stages"][1]["macs"]
    assert arms["scratch_long"]["epochs"] == found["cold_cost"] // (3 * student * 200)
    assert arms["scratch_long"]["cost"] <= found["cold_cost"]
    assert arms["merit_matched"]["missing"] == "the schedule has no merit"


def test_it_warns_of_arms_at_equal_cost_with_very_many_epochs(run, tmp_path):
    file = tmp_path / "equal.yaml"
    file.write_text(AT_EQUAL_COST.replace("COST", "1e9"))
    ran = run("check", "--no-time", file)
    assert ran.code == 0
    assert re.search(r"equal cost +1\.0* G sample-MACs for every trial and control arm", ran.out)
    assert "no merit_matched: the schedule has no merit" in ran.out
    assert re.search(
        r"the control arm scratch_long trains for [\d,]+ epochs, more than 20", ran.out
    )


def test_a_space_is_priced_with_its_confirmation_and_a_schedule_with_its_training(
    run, small, tmp_path
):
    file = tmp_path / "equal.yaml"
    file.write_text(AT_EQUAL_COST.replace("COST", "true"))
    shown = run("check", "--no-time", file).out
    assert "schedules 2 in this space" in shown
    assert "so that the search ends before it has as many trials as it may have" in shown
    assert re.search(r"search: 2 trials, 2 control arms +\d+ +[\d.]+ M", shown)
    assert re.search(r"confirm, to its last look: \d+ paths", shown)
    found = json.loads(run("check", "--no-time", file, "--json").out)
    assert found["plan"]["slots"] == [{"slots": slots_here(), "hours": None}]
    assert found["hours"] is None
    timed = json.loads(run("check", small, "--json").out)
    assert (timed["plan"], 0 < timed["hours"] < 1) == (None, True)
    assert not list((tmp_path / "store").rglob("*.safetensors"))


def test_plan_refuses_a_number_of_trials_that_no_search_has(run, tmp_path):
    file = tmp_path / "equal.yaml"
    file.write_text(AT_EQUAL_COST.replace("COST", "true"))
    ran = run("plan", "--no-time", file, "--trials", "0")
    assert ran.code == 1
    assert "trials must be at least 1, got 0" in ran.err


def test_plan_prints_what_a_search_runs_by_slots(run, tmp_path):
    file = tmp_path / "equal.yaml"
    file.write_text(AT_EQUAL_COST.replace("COST", "true"))
    ran = run("plan", "--no-time", file, "--slots", "1,4", "--trials", "1")
    assert ran.code == 0
    assert re.search(r"stages +5 asked for, [34] run", ran.out)
    rows = [line.split()[6:8] for line in ran.out.splitlines() if line.startswith("search:")]
    assert [slots for slots, _ in rows] == ["1", "4"]
    assert ran.out.splitlines()[-1].endswith("--trials 1")
    found = json.loads(run("plan", "--no-time", file, "--json").out)
    assert [one["slots"] for one in found["slots"]] == [1, 8, 64]
    assert found["stages_run"] < found["stages_requested"]


@pytest.mark.parametrize("slots", ["0", "1,,8", "many", "-1"])
def test_slots_are_numbers(run, tmp_path, slots):
    file = tmp_path / "equal.yaml"
    file.write_text(AT_EQUAL_COST.replace("COST", "true"))
    ran = run("plan", file, f"--slots={slots}")
    assert ran.code == 1
    assert f"--slots {slots}: give numbers of at least 1, like 1,8,64" in ran.err


def test_a_schedule_without_holes_has_no_plan(run, small):
    ran = run("plan", small)
    assert ran.code == 1
    assert "there is nothing to search in a schedule without holes" in ran.err
