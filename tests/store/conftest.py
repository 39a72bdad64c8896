import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from dmtsearch.store import open_store

WORKER = Path(__file__).with_name("store_worker.py")


@pytest.fixture
def local(tmp_path):
    return open_store(str(tmp_path / "store"))


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    if request.param == "local":
        yield open_store(str(tmp_path / "store"))
    else:
        memory = fsspec.filesystem("memory")
        yield open_store(f"memory://{tmp_path.name}")
        if memory.exists(f"/{tmp_path.name}"):
            memory.rm(f"/{tmp_path.name}", recursive=True)


@pytest.fixture
def start():
    """Start `store_worker.py` in a role; what still runs at the end of the test is killed."""
    running = []

    def run(role, *arguments):
        process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps([role, *map(_plain, arguments)])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path])),
            },
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def _plain(value):
    return str(value) if isinstance(value, Path) else value
