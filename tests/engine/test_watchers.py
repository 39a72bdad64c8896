"""Prometheus and the loggers: what they are given of a search."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import untrained
from typer.testing import CliRunner
from untrained import Driver, FakeArm

from dmtsearch.cli.main import app
from dmtsearch.engine import (
    LOGGERS,
    METRICS,
    LiveState,
    RayMetrics,
    RunnableTrial,
    StatusWriter,
    TrialLoggers,
    TrialOutcome,
)

pytestmark = pytest.mark.usefixtures("quick_disk")
ROOT = Path(__file__).parent.parent.parent


class Nobody:
    """A view that shows nothing."""

    def begin(self, stream: Any) -> None: ...
    def end(self) -> None: ...
    def tell(self, text: str) -> None: ...
    def show(self, state: LiveState) -> None: ...


class Gauge:
    """Takes what Ray's gauge takes."""

    made: dict[str, "Gauge"]

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        assert description
        self.keys, self.values = tag_keys, {}
        self.made[name] = self

    def set(self, value: float, tags: Mapping[str, str]) -> None:
        assert tuple(tags) == self.keys
        assert all(isinstance(one, str) for one in tags.values())
        self.values[tuple(tags.values())] = value


class Remembers:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.trials: dict[str, tuple[Any, ...]] = {}

    def log(self, name: str, *rest: Any) -> None:
        assert name not in self.trials
        self.trials[name] = rest


def search(folder: Path, watchers: Sequence[Any], *, trials: int = 4, log: Any = print) -> Driver:
    """A search with two control arms, of which the second trial fails."""
    folder.mkdir(exist_ok=True)
    space = untrained.chain(untrained.FORTY, sampler="random")
    arms = [FakeArm("scratch", space.anchor(), seed) for seed in (0, 1)]

    def fail_once(plan: RunnableTrial) -> TrialOutcome | None:
        failed = TrialOutcome("failed", stage="student", reason="it broke")
        return failed if plan.trial == 3 else None

    driver = Driver(folder, space, trials=trials, arms=arms, outcome=fail_once)
    status = StatusWriter(driver.paths, Nobody(), log, watchers=watchers)
    driver.run()
    status.finish("trials")
    return driver


def test_prometheus_is_given_trials_stages_epochs_and_the_best(tmp_path: Path) -> None:
    made: dict[str, Any] = {}
    kind = type("OneGauge", (Gauge,), {"made": made})
    driver = search(tmp_path / "run", [RayMetrics(kind)])
    assert set(made) == set(METRICS)
    trials = made["dmtsearch_trials"].values
    assert trials["run", "search", "done"] == 3
    assert trials["run", "search", "failed"] == 1
    assert trials["run", "control", "done"] == 2
    stages = driver.searcher.state.stages
    assert made["dmtsearch_stages"].values["run", "run"] == len(stages)
    assert made["dmtsearch_epochs"].values["run",] == sum(stage.epochs for stage in stages)
    (best,) = [
        value for (_, arm, _), value in made["dmtsearch_best"].values.items() if arm == "search"
    ]
    ends = driver.searcher.state.ends
    assert best == max(
        ends[trial.trial].objectives["val_accuracy"] or 0
        for trial in driver.searcher.state.of_search("done")
    )


def test_every_number_of_the_grafana_page_is_one_that_a_search_gives() -> None:
    page = json.loads((ROOT / "cluster" / "grafana.json").read_text())
    queries = [target["expr"] for panel in page["panels"] for target in panel["targets"]]
    queries += [one["query"] for one in page["templating"]["list"][1:]]
    drawn = {name for query in queries for name in re.findall(r"ray_(dmtsearch_\w+)", query)}
    assert drawn == set(METRICS)
    states = {"running", "waiting", "run", "store", "stopped", "failed", "shared"}
    for query in queries:
        for name in re.findall(r"ray_(dmtsearch_\w+)", query):
            used = re.findall(r"(\w+)=~", query) + re.findall(r"[\w ]+ by \(([\w, ]+)\)", query)
            labels = {label.strip() for text in used for label in text.split(",")}
            assert labels <= set(METRICS[name][1]), query
        for text in re.findall(r'state=~"([^"]+)"', query):
            assert set(text.split("|")) <= states


def test_a_logger_gets_each_trial_once_with_its_curve_also_after_a_resume(tmp_path: Path) -> None:
    first, second = Remembers(), Remembers()
    search(tmp_path, [TrialLoggers(first)])
    assert sorted(first.trials) == [f"trial_{number:04}" for number in range(6)]
    values, curve, ends = first.trials["trial_0001"]
    assert values["arm"] == "search"
    assert values["student.soft.temperature"] in (1, 2, 4, 8)
    assert [step for step, _ in curve] == list(range(1, 11))
    assert curve[-1][1]["val_accuracy"] == pytest.approx(ends["val_accuracy"])
    values, _, ends = first.trials["trial_0003"]
    assert values["status"] == "failed"
    assert ends == {}
    search(tmp_path, [TrialLoggers(second)], trials=6)
    assert sorted(second.trials) == ["trial_0006", "trial_0007"]


def test_a_watcher_that_fails_is_named_once_and_the_search_goes_on(tmp_path: Path) -> None:
    class Broken:
        def log(self, name: str, *rest: Any) -> None:
            raise OSError("the server is away")

    said: list[str] = []
    good = Remembers()
    search(tmp_path, [TrialLoggers(Broken()), TrialLoggers(good)], log=said.append)
    assert said == ["TrialLoggers follows the search no more: OSError: the server is away"]
    assert len(good.trials) == 6


def test_tensorboard_has_a_folder_of_events_for_each_trial(tmp_path: Path) -> None:
    search(tmp_path, [TrialLoggers(LOGGERS["tensorboard"][1](tmp_path))])
    folders = sorted(path.name for path in (tmp_path / "tensorboard").iterdir())
    assert folders == [f"trial_{number:04}" for number in range(6)]
    (file,) = (tmp_path / "tensorboard" / "trial_0001").glob("events.*")
    events = file.read_bytes()
    assert events.count(b"val_accuracy") == 10 + 1  # epochs, and the end
    assert b"student.soft.temperature" in events


def test_mlflow_has_a_run_for_each_trial_in_a_local_file_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra dmtsearch[mlflow] is missing")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    search(tmp_path / "run", [TrialLoggers(LOGGERS["mlflow"][1](tmp_path / "run"))])
    client = mlflow.tracking.MlflowClient()
    experiment = client.get_experiment_by_name("run")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == [f"trial_{number:04}" for number in range(6)]
    assert runs["trial_0003"].info.status == "FAILED"
    run = runs["trial_0001"]
    assert run.data.params["arm"] == "search"
    curve = client.get_metric_history(run.info.run_id, "val_accuracy")
    assert [point.step for point in curve] == list(range(1, 11))
    assert run.data.metrics["end_val_accuracy"] == pytest.approx(curve[-1].value)


def test_wandb_has_a_run_for_each_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []

    def init(**given: Any) -> Any:
        steps: list[int] = []
        run = SimpleNamespace(given=given, steps=steps, summary={}, code=None)
        run.log = lambda row, step: steps.append(step)
        run.finish = lambda exit_code: setattr(run, "code", exit_code)
        runs.append(run)
        return run

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    search(tmp_path / "run", [TrialLoggers(LOGGERS["wandb"][1](tmp_path / "run"))])
    assert [run.given["name"] for run in runs] == [f"trial_{number:04}" for number in range(6)]
    assert {run.given["project"] for run in runs} == {"run"}
    assert runs[1].steps == list(range(1, 11))
    assert runs[1].summary["val_accuracy"] > 0.5
    assert [run.code for run in runs] == [0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("mlfow", "--log: no logger is called 'mlfow'; did you mean 'mlflow'?; there are"),
        (
            "tensorboard,wandb",
            "--log wandb requires the package wandb, which is not installed: pip install "
            "'dmtsearch[wandb]'",
        ),
    ],
)
def test_a_logger_that_is_not_there_is_refused_before_anything_begins(
    given: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "wandb" else object()
    )
    space, out = str(ROOT / "dmtsearch" / "cli" / "demo.yaml"), str(tmp_path / "run")
    result = CliRunner().invoke(app, ["search", space, "--out", out, "--log", given])
    assert result.exit_code != 0
    assert words in str(result.exception)
    assert not (tmp_path / "run").exists()
