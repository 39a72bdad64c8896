"""What is said of a cluster before a search begins; no Ray."""

import json
import os
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from ray.exceptions import NodeDiedError, OutOfMemoryError, TaskUnschedulableError
from small_searches import write_space
from typer.testing import CliRunner

import dmtsearch
from dmtsearch.cli.main import app
from dmtsearch.engine import (
    ClusterCheck,
    ClusterNode,
    Needs,
    NodeCheck,
    NodeFacts,
    Slots,
    StagePlaces,
    StageSetting,
    ask_with_ray,
    idle_parts,
    oversized,
    own_versions,
    problems_of,
    survey_nodes,
    torch_without_cuda,
)
from dmtsearch.engine import refuse_differing_nodes as refuse_differing
from dmtsearch.errors import UsageError
from dmtsearch.schedule import DataSpec
from dmtsearch.store import Store, open_store

NAMES = {"a": "first", "b": "second"}
GB = 1 << 30
NODE = "5a" * 28


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """What a check sets for Ray is not left to other tests."""
    with patch.dict(os.environ):
        os.environ.pop("RAY_ADDRESS", None)
        yield


def answering(**changed: Callable[[Any, tuple[Any, ...]], Any]) -> Any:
    """Nodes that answer as this machine does, but for those in `changed`.

    A change gets a question's function and arguments, and returns a whole reply.
    """

    def ask(questions: Mapping[str, bytes], within_s: float) -> dict[str, Any]:
        replies = {}
        for node, question in questions.items():
            function, arguments = pickle.loads(question)
            change = changed.get(node)
            if change is None:
                replies[node] = (own_versions(), function(*arguments), None)
            else:
                replies[node] = change(function, arguments)
        return replies

    return ask


def test_nodes_that_share_the_store_and_are_alike_may_work(tmp_path: Path) -> None:
    refuse_differing(NAMES, open_store(str(tmp_path)), answering())
    left = [path for path in (tmp_path / "progress").rglob("*") if path.is_file()]
    assert left == []


def elsewhere(function: Any, arguments: tuple[Any, ...]) -> Any:
    store, *keys = arguments
    there = open_store(f"{store.where}-of-another-machine")
    return own_versions(), function(there, *keys), None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            lambda function, arguments: (
                {**own_versions(), "torch": "1.0"},
                function(*arguments),
                None,
            ),
            r"node second has torch 1\.0 \(here .*\): install the same versions on every node",
            id="other versions",
        ),
        pytest.param(
            lambda function, arguments: (
                {**own_versions(), "dmtsearch": "not installed"},
                None,
                "No module named 'dmtsearch'",
            ),
            r"node second has no dmtsearch: install dmtsearch .* in its image",
            id="an image without dmtsearch",
        ),
        pytest.param(
            lambda function, arguments: (own_versions(), None, "No module named 's3fs'"),
            r"node second cannot open what this machine sends: No module named 's3fs'; install "
            "the same packages on every node",
            id="a package of the store lacks there",
        ),
        pytest.param(
            elsewhere,
            r"is not shared: node second did not see what this one wrote there; give a store that "
            r"all nodes reach, like --store s3://bucket/path",
            id="another store",
        ),
        pytest.param(
            lambda function, arguments: "did not answer within 60 s: look at `ray status`",
            r"node second did not answer within 60 s: look at `ray status`",
            id="no answer",
        ),
    ],
)
def test_a_node_that_cannot_take_part_is_refused_once_by_name_with_the_remedy(
    tmp_path: Path, change: Any, sentence: str
) -> None:
    with pytest.raises(UsageError, match=f"cannot work together: [^;]*{sentence}") as caught:
        refuse_differing(NAMES, open_store(str(tmp_path / "store")), answering(b=change))
    assert str(caught.value).count("second") == 1
    assert "first" not in str(caught.value)


def test_a_node_that_leaves_while_it_is_asked_is_no_reason_to_refuse_the_others(
    tmp_path: Path,
) -> None:
    def leaving(questions: Any, within_s: float) -> Any:
        replies = answering()(questions, within_s)
        return {node: reply for node, reply in replies.items() if node != "b"}

    store = open_store(str(tmp_path / "store"))
    refuse_differing(NAMES, store, leaving)
    facts = survey_nodes(NAMES, store, leaving)
    assert list(facts) == ["a"]
    both = [node("a", gpu=1), node("b", gpu=1)]
    assert torch_without_cuda(both, facts, {"teacher": Needs(gpu=1)}) == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(NodeDiedError("node"), None, id="it leaves while it answers"),
        pytest.param(TaskUnschedulableError("gone"), None, id="it has left before it is asked"),
        pytest.param(OutOfMemoryError("Refer to"), "has too little memory free", id="it is full"),
    ],
)
def test_a_node_that_has_left_has_no_reply_and_one_without_memory_says_so(
    error: Exception, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Task:
        def options(self, **options: Any) -> "Task":
            return self

        def remote(self, *words: Any) -> str:
            return "call"

    def answer(call: str, timeout: float) -> Any:
        raise error

    monkeypatch.setattr("ray.remote", lambda probe: Task())
    monkeypatch.setattr("ray.wait", lambda calls, num_returns, timeout: None)
    monkeypatch.setattr("ray.get", answer)
    replies = ask_with_ray({NODE: {}}, 1.0)
    assert list(replies) == ([] if said is None else [NODE])
    assert said is None or said in str(replies[NODE])


def setting() -> StageSetting:
    return StageSetting("run", DataSpec(name="digits"), False, ".", 0.0)


def test_a_node_that_reads_other_data_is_refused_before_a_stage_trains_on_it(
    tmp_path: Path,
) -> None:
    mine = {"fingerprint": "a" * 64, "train": "b" * 64}

    def reading(facts: Mapping[str, str] | str) -> Any:
        def change(function: Any, arguments: tuple[Any, ...]) -> Any:
            asks_for_data = isinstance(arguments[0], StageSetting)
            return own_versions(), facts if asks_for_data else function(*arguments), None

        return change

    def problems(facts: Mapping[str, str] | str) -> list[str]:
        store = open_store(str(tmp_path))
        ask = answering(a=reading(mine), b=reading(facts))
        return problems_of(survey_nodes(NAMES, store, ask, setting()).values(), store, mine)

    assert problems(mine) == []
    assert problems({**mine, "fingerprint": "c" * 64}) == [
        "node second has other data than this machine: its content is another (fingerprint "
        "cccccccccccc, not aaaaaaaaaaaa); put the same files at the same place on every node, or "
        "where all reach them"
    ]
    assert problems("images: no such folder") == [
        "node second cannot read the data: images: no such folder"
    ]


def test_nodes_of_another_version_are_not_also_asked_for_data(tmp_path: Path) -> None:
    def old(function: Any, arguments: tuple[Any, ...]) -> Any:
        assert isinstance(arguments[0], Store)
        return {**own_versions(), "ray": "1.0"}, function(*arguments), None

    ask = answering(a=old)
    facts = survey_nodes({"a": "first"}, open_store(str(tmp_path)), ask, setting())
    assert facts["a"].data is None


def node(name: str, cpu: float = 4, gpu: float = 0, **labels: str) -> ClusterNode:
    return ClusterNode(name, cpu=cpu, gpu=gpu, memory=8 * GB, labels=labels)


@pytest.mark.parametrize(
    ("nodes", "needs", "sentence"),
    [
        pytest.param(
            [node("a"), node("b")],
            Needs(gpu=0.5),
            "stage 'student' requests 1 CPU, 0.5 GPU; but no node has a GPU: take `gpu` out of "
            "the stage's `resources`, or give the --address of a cluster with GPUs",
            id="a GPU where none are",
        ),
        pytest.param(
            [node("a", cpu=2), node("b", gpu=1)],
            Needs(gpu=2),
            "stage 'student' requests 1 CPU, 2 GPU; but the largest node has 4 CPU, 1 GPU: lower "
            "the stage's `resources`, or give the --address of a larger cluster",
            id="more GPUs than a node has",
        ),
        pytest.param(
            [node("head", cpu=0)],
            Needs(),
            "stage 'student' requests 1 CPU; but no node that has joined has a CPU for stages (a "
            "head with --num-cpus=0 has none): start workers with `ray start "
            "--address=HEAD:6379`, or wait until they have joined",
            id="a head without CPUs, alone",
        ),
        pytest.param(
            [node("a", kind="slow")],
            Needs(label="kind=fast"),
            "stage 'student' requests 1 CPU, the label 'kind=fast'; but no node has that label "
            "(there are kind=slow): start nodes with `ray start --labels=NAME=VALUE`, or take "
            "`label` out of the stage's `resources`",
            id="a label that no node has",
        ),
    ],
)
def test_a_stage_that_could_run_nowhere_is_refused_with_the_reason(
    nodes: list[ClusterNode], needs: Needs, sentence: str
) -> None:
    assert oversized({"teacher": Needs(cpu=0), "student": needs}, Slots(nodes)) == [sentence]


def test_stages_with_the_same_fault_are_named_together() -> None:
    wants = {"teacher": Needs(cpu=8), "fits": Needs(cpu=4), "student": Needs(cpu=5)}
    (problem,) = oversized(wants, Slots([node("a", cpu=2), node("b")]))
    assert problem.startswith(
        "stage 'teacher' requests 8 CPU; stage 'student' requests 5 CPU; but the largest node has "
        "4 CPU and no GPU: lower"
    )


@pytest.mark.parametrize(
    ("nodes", "wants", "at_once", "idle"),
    [
        pytest.param(
            [node("a"), node("b")], {"net": Needs()}, 16, [], id="nothing where all is used"
        ),
        pytest.param(
            [node("a", gpu=2)],
            {"net": Needs()},
            16,
            [
                "a: 2 GPUs of 2: every stage says `resources: {gpu: 0}`; leave `gpu` out to train "
                "on GPUs"
            ],
            id="GPUs that no stage requests",
        ),
        pytest.param(
            [node("a", cpu=64, gpu=1)],
            {"net": Needs(gpu=0.5)},
            16,
            [
                "a: 62 CPUs of 64: its GPUs or its memory are full before; lower what stages "
                "request of them"
            ],
            id="CPUs beside full GPUs",
        ),
        pytest.param(
            [node("a", pool="x"), node("b")],
            {"net": Needs(label="pool=x")},
            16,
            ["b: 4 CPUs: it lacks the label pool=x"],
            id="a node without the label",
        ),
        pytest.param(
            [node("head", cpu=0), node("a"), node("b", cpu=1)],
            {"net": Needs(cpu=2)},
            16,
            ["b: 1 CPU: too small: the least that a stage requests is 2 CPU"],
            id="a node that is too small, and a head without CPUs",
        ),
        pytest.param(
            [node("a"), node("b")],
            {"net": Needs()},
            3,
            [
                "room for 5 of 8 stages: at most 3 trials of this search run at once, and each "
                "trains one stage at a time"
            ],
            id="more room than trials",
        ),
    ],
)
def test_what_a_search_leaves_idle_is_named_with_the_reason(
    nodes: list[ClusterNode], wants: dict[str, Needs], at_once: int, idle: list[str]
) -> None:
    assert idle_parts(nodes, {each.name: each.name for each in nodes}, wants, at_once) == idle


def test_a_torch_that_cannot_use_the_gpus_of_its_node_is_named() -> None:
    facts = NodeFacts("gpu-1", {"torch": "2.9.1+cpu"})
    with_cuda = replace(facts, host="gpu-2", versions={"torch": "2.9.1"})
    nodes, known = [node("a", gpu=2), node("b", gpu=1)], {"a": facts, "b": with_cuda}
    (problem,) = torch_without_cuda(nodes, known, {"net": Needs(gpu=1)})
    assert problem.startswith("node gpu-1 has 2 GPU and torch 2.9.1+cpu, which was built without")
    assert torch_without_cuda(nodes, known, {"net": Needs()}) == []


def two_nodes(monkeypatch: pytest.MonkeyPatch, ask: Any) -> None:
    """A cluster of two CPU nodes, of which this process is the first."""
    room = "dmtsearch.engine"
    monkeypatch.setattr(f"{room}.cluster_check.refuse_unreachable", lambda address: None)
    monkeypatch.setattr(f"{room}.cluster_check.ray_at", lambda address: nullcontext())
    monkeypatch.setattr(f"{room}.cluster_check.ask_with_ray", ask)
    monkeypatch.setattr(f"{room}.ray_actor.look_at_nodes", lambda: [node("a"), node("b")])
    monkeypatch.setattr(f"{room}.ray_actor.node_names", lambda: NAMES)
    monkeypatch.setattr(f"{room}.ray_actor.head_node", lambda: "a")
    monkeypatch.setattr(f"{room}.ray_backend.head_memory", lambda: None)


@pytest.mark.parametrize(
    ("store", "sentence"),
    [
        ("abfs://container/store", "needs a package that is not installed: .*adlfs"),
        ("file", "is not a folder"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_problem_and_the_nodes_are_looked_at_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, sentence: str
) -> None:
    (tmp_path / "file").touch()
    two_nodes(monkeypatch, answering())
    where = store if "://" in store else str(tmp_path / store)
    words = ["cluster", "check", "--address", "10.0.0.1:6379", "--store", where, "--json"]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 1, ran.output
    found = json.loads(ran.stdout)
    (problem,) = found["problems"]
    assert re.search(sentence, problem)
    assert [(one["name"], one["head"]) for one in found["nodes"]] == [
        ("first", True),
        ("second", False),
    ]
    assert all(one["versions"] == own_versions() for one in found["nodes"])


def test_nodes_with_unlike_processors_are_noted_and_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(second: str) -> list[str]:
        def change(function: Any, arguments: tuple[Any, ...]) -> Any:
            own, *answer = function(*arguments)
            assert own
            return own_versions(), (second or own, *answer), None

        two_nodes(monkeypatch, answering(b=change))
        words = ["cluster", "check", "--address", "10.0.0.1:6379", "--json"]
        ran = CliRunner().invoke(app, [*words, "--store", str(tmp_path / "store")])
        assert ran.exit_code == 0, ran.output
        found = json.loads(ran.stdout)
        assert found["nodes"][1]["processor"] == (second or found["nodes"][0]["processor"])
        notes: list[str] = found["notes"]
        return notes

    assert note("") == []
    (said,) = note("Another, AVX2")
    assert said.startswith("unlike processors: ")
    assert "(first); Another, AVX2 (second). What a CPU trains may differ" in said


FOLLOWED = """
dmtsearch: 1
name: followed
search: {pruner: {name: median}, trials: 9, controls: CONTROLS}
data: {name: digits, train: 200, val: 100}
stages:
  student: {model: {family: plain, widths: [2, 4], convs: 1}, optimizer: {lr: {log: [0.001, 0.1]}}}
"""


@pytest.mark.parametrize(
    ("free", "idle"),
    [
        (
            10**9,  # half of it is room for four of 114 MB
            [
                "room for 4 of 8 delivered stages: the pruner can follow 4 at once, by a process "
                "of 114 MB each in half of the head's free memory; earlier stages and control "
                "arms may run there"
            ],
        ),
        (2 * 10**9, []),
        (None, []),
    ],
)
def test_a_head_with_too_little_memory_for_a_pruner_s_processes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int | None, idle: list[str]
) -> None:
    two_nodes(monkeypatch, answering())
    monkeypatch.setattr("dmtsearch.engine.ray_backend.head_memory", lambda: free)
    space = tmp_path / "followed.yaml"
    space.write_text(FOLLOWED.replace("CONTROLS", "none"))
    words = ["cluster", "check", str(space), "--address", "10.0.0.1:6379", "--json"]
    ran = CliRunner().invoke(app, [*words, "--store", str(tmp_path / "store")])
    found = json.loads(ran.stdout)
    assert (found["trials_at_once"], found["idle"]) == (9, idle)


@pytest.mark.parametrize(
    ("controls", "at_once"), [("none", 9), ("[scratch]", 12), ("[scratch, direct_long]", 13)]
)
def test_trials_at_once_are_no_more_than_there_are_with_all_replicates_of_control_arms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controls: str, at_once: int
) -> None:
    two_nodes(monkeypatch, answering())
    space = tmp_path / "followed.yaml"
    space.write_text(FOLLOWED.replace("CONTROLS", controls))
    words = ["cluster", "check", str(space), "--address", "10.0.0.1:6379", "--json"]
    ran = CliRunner().invoke(app, [*words, "--store", str(tmp_path / "store")])
    assert json.loads(ran.stdout)["trials_at_once"] == at_once


@pytest.mark.parametrize("problems", [(), ("node b has no dmtsearch: install it",)])
def test_a_check_is_printed_in_80_columns_and_its_exit_says_whether_a_search_could_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problems: tuple[str, ...]
) -> None:
    def made(name: str, gpu: float, data: str | None) -> NodeCheck:
        return NodeCheck(
            f"ip-10-0-0-{name}",
            name == "1",
            8,
            gpu,
            64 * GB,
            ("k=v",),
            own_versions(),
            "",
            0.03,
            data,
        )

    found = ClusterCheck(
        address="10.0.0.1:6379",
        nodes=(made("1", 0, "a" * 64), made("2", 4, None)),
        store="s3://bucket/store",
        store_s=0.2,
        data="a" * 64,
        stages=(StagePlaces("student", "1 CPU, 0.5 GPU", ("ip-10-0-0-2",), 8),),
        trials_at_once=10,
        idle=("ip-10-0-0-1: 8 CPUs: too small",),
        notes=("unlike processors: A (x); B (y)",),
        problems=problems,
    )
    monkeypatch.setattr("dmtsearch.engine.cluster_check.check_cluster", lambda *_, **__: found)
    (tmp_path / "space.yaml").touch()
    words = ["cluster", "check", str(tmp_path / "space.yaml"), "--address", "auto"]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == (1 if problems else 0)
    assert "The cluster at 10.0.0.1:6379: 2 nodes, 16 CPUs, 4 GPUs" in ran.stdout
    cells = [line.split() for line in ran.stdout.splitlines()]
    assert ["ip-10-0-0-2", "8", "4", "68.7", "GB", "30", "ms", "no"] in cells
    assert ["student", "1", "CPU,", "0.5", "GPU", "1", "of", "2", "8"] in cells
    assert "idle      ip-10-0-0-1: 8 CPUs: too small" in ran.stdout
    assert "note      unlike processors: A (x); B (y)" in ran.stdout
    assert ("--address auto --out runs/space" in ran.stdout) is not bool(problems)
    assert all(problem in ran.stderr for problem in problems)
    tables = [line for line in ran.stdout.splitlines() if line.startswith("─")]
    assert all(len(line) <= 80 for line in tables)


def test_the_last_cluster_of_this_machine_that_is_gone_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._private import services

    monkeypatch.setattr(services, "find_gcs_addresses", set)  # others may run on this machine
    monkeypatch.setattr(services, "find_bootstrap_address", lambda folder: "127.0.0.1:1")
    ran = CliRunner().invoke(app, ["cluster", "check", "--address", "auto"])
    assert "answers at 127.0.0.1:1 (Connection refused), the last that this machine was" in str(
        ran.exception
    )


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
        ("ray://head:10001", "through which a search cannot run"),
        ("nowhere", "the address 'nowhere' is none; give host:port, `auto`, or `local`"),
    ],
)
def test_a_check_of_a_cluster_that_is_not_there_says_so_at_once(
    address: str, sentence: str
) -> None:
    ran = CliRunner().invoke(app, ["cluster", "check", "--address", address])
    assert isinstance(ran.exception, UsageError)
    assert sentence in str(ran.exception)


def test_a_search_at_the_address_of_a_dead_cluster_is_refused_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    space, store = write_space(tmp_path), str(tmp_path / "store")
    with pytest.raises(UsageError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        dmtsearch.search(space, out=tmp_path / "run", store=store, address="127.0.0.1:1")
    assert list(tmp_path.iterdir()) == [space]
