"""What lies in `cluster/`, checked as far as can be without a cloud. Starts no Ray."""

import copy
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import typer
from rayjob_schema import PERSISTENT_VOLUME_CLAIM, RAY_JOB
from ruamel.yaml import YAML

from dmtsearch.cli.main import app

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
PAGE = (CLUSTER / "README.md").read_text()
TOKEN = "~/.ray/auth_token"
DMTSEARCH = typer.main.get_command(app)


def read(name: str) -> list[Any]:
    return list(YAML(typ="safe").load_all((CLUSTER / name).read_text()))


@pytest.mark.parametrize(
    ("name", "is_spot"),
    [
        ("aws.yaml", lambda node: node["InstanceMarketOptions"] == {"MarketType": "spot"}),
        ("gcp.yaml", lambda node: {"preemptible": True} in node["scheduling"]),
    ],
)
def test_rays_launcher_takes_the_file_and_stages_run_on_spot_workers_alone(
    name: str, is_spot: Any
) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(copy.deepcopy(read(name)[0]))  # as `ray up` completes it
    validate_config(config)
    head = config["available_node_types"][config["head_node_type"]]
    workers = config["available_node_types"]["gpu"]
    assert head["resources"]["CPU"] == 0
    assert 1 <= workers["min_workers"] <= workers["max_workers"] <= config["max_workers"]
    assert is_spot(workers["node_config"])
    assert not is_spot({"InstanceMarketOptions": {}, "scheduling": [], **head["node_config"]})
    assert config["file_mounts"] == {TOKEN: TOKEN}
    starts = [config[f"{kind}_start_ray_commands"][-1] for kind in ("head", "worker")]
    assert "--num-cpus=0" in starts[0]
    for start in starts:
        setting, *words = shlex.split(start)
        assert setting == "RAY_AUTH_MODE=token"
        parse(words)


def parse(words: list[str]) -> None:
    """Parse a command as its program does, and run nothing.

    Raises:
        click.ClickException: It does not know a word, or lacks one.
    """
    if words[0] == "dmtsearch":
        command: click.Command = DMTSEARCH
    else:
        assert words[0] == "ray"
        from ray.scripts.scripts import cli

        command = cli
    rest = words[1:]
    while isinstance(command, click.Group):
        name = rest.pop(0)
        assert name in command.commands, f"no command {name!r} in {shlex.join(words)}"
        command = command.commands[name]
    command.make_context(words[0], rest)


def commands_of(text: str) -> Iterator[list[str]]:
    """Commands of dmtsearch and ray in shell code, also those that another one is given."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in joined.splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*|export|exec|then|else", words[0]):
            words = words[1:]
        if words[:1] in (["dmtsearch"], ["ray"]):
            yield words
            for word in words[1:]:
                yield from commands_of(word.replace("&&", "\n") if "dmtsearch " in word else "")


def blocks_of(page: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def test_every_command_on_the_page_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = [words for block in blocks_of(PAGE) for words in commands_of(block)]
    for words in found:
        parse(words)
    named = {" ".join(words[:2]) for words in found}
    assert {"dmtsearch search", "dmtsearch resume", "dmtsearch report", "ray up"} <= named
    assert "dmtsearch cluster" in named


def test_the_rayjob_fits_its_schema_and_begins_or_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    claim, job = read("kuberay-rayjob.yaml")
    jsonschema.validate(claim, PERSISTENT_VOLUME_CLAIM)
    jsonschema.validate(job, RAY_JOB)
    cluster = job["spec"]["rayClusterSpec"]
    pods = [group["template"]["spec"] for group in cluster["workerGroupSpecs"]]
    pods.append(cluster["headGroupSpec"]["template"]["spec"])
    for pod in pods:
        claims = [volume.get("persistentVolumeClaim") for volume in pod["volumes"]]
        assert {"claimName": claim["metadata"]["name"]} in claims
        named = {volume["name"] for volume in pod["volumes"]}
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= named
    shell, flag, script = shlex.split(job["spec"]["entrypoint"])
    assert (shell, flag) == ("sh", "-c")
    monkeypatch.chdir(ROOT)
    commands = list(commands_of(script.replace(";", "\n").replace("&&", "\n")))
    assert [words[1] for words in commands] == ["resume", "search"]
    for words in commands:
        parse(words)


@pytest.mark.parametrize("wrong", ["entryPoint", "workerGroupSpec", "authOption"])
def test_the_schema_of_a_rayjob_refuses_a_misspelt_field(wrong: str) -> None:
    _, job = read("kuberay-rayjob.yaml")
    job["spec"][wrong] = job["spec"]["rayClusterSpec"][wrong] = "x"
    with pytest.raises(jsonschema.ValidationError, match=wrong):
        jsonschema.validate(job, RAY_JOB)


@pytest.mark.parametrize("name", ["local.sh", "slurm.sbatch"])
def test_scripts_are_such_as_bash_and_shellcheck_take(name: str) -> None:
    script = CLUSTER / name
    beside = Path(sys.executable).parent  # where the extra `dev` puts it
    path = os.pathsep.join([str(beside), os.environ["PATH"]])
    for words in (["bash", "-n"], ["shellcheck"]):
        tool = shutil.which(words[0], path=path)
        if tool is None:
            pytest.skip(f"{words[0]} is not installed: it is in the extra `dev`")
        ran = subprocess.run([tool, *words[1:], script], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_slurm_starts_what_symmetric_run_takes() -> None:
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

    text = re.sub(r"\\\n\s*", " ", (CLUSTER / "slurm.sbatch").read_text())
    text = re.sub(r"\$\{?SLURM_[A-Z_]+(:-0)?\}?", "2", text)
    (line,) = [line for line in text.splitlines() if line.startswith("srun ")]
    words = shlex.split(line)
    words = words[words.index("symmetric-run") + 1 : words.index("--")]
    parse(["ray", "start", "--address", "x", *curate_and_validate_ray_start_args(words)])
    searches = re.findall(r"search=\((.*)\)", text)
    assert [shlex.split(words)[1] for words in searches] == ["resume", "search"]


def test_the_image_is_built_of_files_that_are_there() -> None:
    text = (CLUSTER / "Dockerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    instructions = [line.split() for line in lines if line.strip()]
    assert instructions[0][0] == "FROM"
    known = {"FROM", "RUN", "WORKDIR", "COPY", "ARG", "ENV", "CMD"}
    assert {words[0] for words in instructions} <= known
    for kind, *words in instructions:
        if kind == "COPY":
            assert all((ROOT / source).exists() for source in words[:-1])
        if kind == "RUN":
            subprocess.run(["bash", "-n", "-c", " ".join(words)], check=True)
