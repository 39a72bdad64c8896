"""What travels and what is written: jobs pickled by Ray alone, no secret in any file."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_searches import write_space
from typer.testing import CliRunner

import dmtsearch
from dmtsearch.cli.main import app

pytestmark = pytest.mark.engine  # starts no Ray

PACKAGE = Path(dmtsearch.__file__).parent
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-by-a-test-1-aws",
    "GOOGLE_APPLICATION_CREDENTIALS_JSON": "planted-by-a-test-2-gcs",
    "WANDB_API_KEY": "planted-by-a-test-3-wandb",
    "MLFLOW_TRACKING_PASSWORD": "planted-by-a-test-4-mlflow",
    "RAY_AUTH_TOKEN": "planted-by-a-test-5-ray",
    "HF_TOKEN": "planted-by-a-test-6-hub",
}
LOADERS = {
    "pickle": {"load", "loads", "Unpickler"},
    "cloudpickle": {"load", "loads"},
    "dill": {"load", "loads"},
    "joblib": {"load"},
    "marshal": {"load", "loads"},
    "shelve": {"open"},
    "torch": {"load"},
    "pd": {"read_pickle"},
    "np": {"load"},
}
"""Calls that build any object, or run any code, that a file asks for."""


def loads(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each use of a loader that is not known to be harmless."""
    tree = ast.parse(source)
    called = {call.func: call for call in ast.walk(tree) if isinstance(call, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in LOADERS:
            for name in node.names:
                if name.name in LOADERS[node.module]:
                    yield node.lineno, ast.unparse(node)
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        if node.attr not in LOADERS.get(node.value.id, ()):
            continue
        call = called.get(node)
        options = {one.arg: ast.unparse(one.value) for one in call.keywords} if call else {}
        first = call.args[0] if call and call.args else None
        harmless = (
            # A job, from the message in which Ray brought it: never from a file.
            (
                (node.value.id, node.attr) == ("pickle", "loads")
                and isinstance(first, ast.Attribute)
                and first.attr == "job"
            )
            or (node.value.id == "torch" and options.get("weights_only") == "True")
            or (node.value.id == "np" and options.get("allow_pickle") == "False")
        )
        if not harmless:
            yield node.lineno, ast.unparse(call or node)


def test_the_scan_finds_each_way_to_load_what_may_run_code() -> None:
    for bad in (
        "pickle.load(file)",
        "pickle.loads(record)",
        "class A(pickle.Unpickler): pass",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
    ):
        assert len(list(loads(bad))) == 1, bad
    for good in (
        "pickle.loads(stage.job)",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=False)",
        "json.loads(text)",
    ):
        assert list(loads(good)) == [], good


KNOWN = {
    "data/cifar.py: pickle.Unpickler",  # builds arrays alone: see tests/data/test_data_cifar.py
    "engine/probes.py: pickle.loads(question)",  # to a node, from a message of Ray's
    # Of a stage with several workers without Ray, by pipes between it and its own children:
    "training/local_workers.py: pickle.load(sys.stdin.buffer)",
    "training/local_workers.py: pickle.load(one.running.stdout)",
    "training/local_workers.py: pickle.loads(found)",
}


def test_no_file_is_unpickled_but_cifars_by_a_reader_of_arrays() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}: {text}"
        for path in PACKAGE.rglob("*.py")
        for _, text in loads(path.read_text(encoding="utf-8"))
    }
    assert found == KNOWN


def invoke(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_no_file_holds_a_secret_of_the_environment_or_a_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    space, run, store = write_space(tmp_path), tmp_path / "run", tmp_path / "store"
    options = ("--store", store, "--backend", "inline", "--log", "tensorboard")
    shown = invoke("search", space, "--trials", 2, "--out", run, *options)
    shown += invoke("train", run / "best_schedule.yaml", "--out", tmp_path / "b", "--store", store)
    shown += invoke("report", run, "--out", tmp_path / "report")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"ledger.jsonl", "study.journal", "driver.log", "manifest.json"} <= {
        path.name for path in files
    }
    assert any(path.name.startswith("events.") for path in files)
    assert any(path.suffix == ".html" for path in files)
    assert any(path.suffix == ".safetensors" for path in (tmp_path / "b").rglob("*"))
    for path in files:
        content = path.read_bytes()
        assert b"planted-by-a-test" not in content, path
        assert content[:1] != b"\x80", f"{path} begins as a pickle does"
    assert "planted-by-a-test" not in shown
    assert os.environ["HF_TOKEN"] == SECRETS["HF_TOKEN"]
