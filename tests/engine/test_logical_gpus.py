"""A Ray with two GPUs in name: where it puts stages, and what is said where torch sees none."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.soak]  # its Ray is in another process

SEARCH = """
    import json, os, sys, time
    from pathlib import Path

    import engine_null
    from dmtsearch.engine import prepare_environment

    prepare_environment("local", os.environ)
    import ray
    import untrained

    import dmtsearch
    from dmtsearch.engine import Needs
    from dmtsearch.errors import UsageError
    from dmtsearch.space import load_space

    def on_gpu(job, store, setting, on_epoch, tell):
        gpus = ray.get_runtime_context().get_accelerator_ids()["GPU"]
        begun = time.time()
        outcome = engine_null.do_nothing(job, store, setting, on_epoch, tell)
        told = json.dumps([gpus, begun, time.time()])
        Path(job.marks, f"gpu-{job.name}-{job.key[:8]}").write_text(told)
        return outcome

    if __name__ == "__main__":
        folder = Path(sys.argv[1])
        options = {"include_dashboard": False, "log_to_driver": False}
        ray.init("local", num_cpus=8, num_gpus=2, **options)
        space = untrained.chain("soft: {temperature: {choice: [1, 2, 3, 4]}}", sampler="grid")
        ran = engine_null.run_null(
            folder / "null", space, trials=4, seconds=0.5, needs=Needs(gpu=0.6), perform=on_gpu
        )
        marks = (folder / "null" / "marks").glob("gpu-*")
        found = {"stages": [json.loads(mark.read_text()) for mark in marks]}
        found["unfinished"] = len(ran.state.unfinished)
        try:
            dmtsearch.search(folder / "rates.yaml", out=folder / "run", store=str(folder / "s"))
        except UsageError as error:
            found["refused"] = str(error)
        print(json.dumps(found))
"""


def test_large_shares_never_meet_on_a_gpu_and_a_torch_without_gpus_is_named(
    tmp_path: Path,
) -> None:
    from small_searches import write_space

    write_space(tmp_path, "[0.01]")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SEARCH))
    here = str(Path(__file__).parent)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
        "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]),
    }
    ended = subprocess.run(
        [sys.executable, script, tmp_path], env=environment, capture_output=True, timeout=400
    )
    assert ended.returncode == 0, ended.stderr.decode()
    found = json.loads(ended.stdout.decode().splitlines()[-1])
    assert found["unfinished"] == 0
    ran = sorted(found["stages"], key=lambda one: one[1])
    assert {tuple(gpus) for gpus, _, _ in ran} == {("0",), ("1",)}
    for number, (gpus, _, ended_s) in enumerate(ran):
        for others, begun_s, _ in ran[number + 1 :]:
            assert gpus != others or begun_s >= ended_s
    assert "has 2 GPUs, but torch" in found["refused"]
    assert "--set defaults.resources.gpu=0" in found["refused"]
