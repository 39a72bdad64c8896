"""Count the package's files that a warm `dmtsearch train` enters, by calls of their functions.

    python benchmarks/files_entered.py [SCHEDULE.yaml]

The schedule is trained into a new store, and then again into another folder, when the store
holds every stage. Files of which only the module's own code runs are counted apart.
"""

import os
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from typer.testing import CliRunner

import dmtsearch
from dmtsearch.cli.main import app


def main() -> None:
    """Print both counts, and the files."""
    schedule = sys.argv[1] if len(sys.argv) > 1 else "search_spaces/digits_chain.yaml"
    called, package = set[str](), str(Path(dmtsearch.__file__).parent)

    def note(frame: FrameType, event: str, value: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_name != "<module>":
            called.add(code.co_filename)

    with tempfile.TemporaryDirectory() as folder:
        os.environ["DMTSEARCH_STORE"] = f"{folder}/store"
        _train(schedule, f"{folder}/cold")
        threading.setprofile(note)
        sys.setprofile(note)
        _train(schedule, f"{folder}/warm")
        sys.setprofile(None)
        threading.setprofile(None)
    entered = sorted(
        Path(name).relative_to(package) for name in called if name.startswith(package)
    )
    loaded = {
        file
        for module in list(sys.modules.values())
        if (file := getattr(module, "__file__", None)) and file.startswith(package)
    }
    sys.stdout.write("".join(f"{name}\n" for name in entered))
    sys.stdout.write(f"{len(entered)} files entered by calls, {len(loaded)} loaded\n")


def _train(schedule: str, out: str) -> None:
    found = CliRunner().invoke(app, ["train", schedule, "--out", out])
    assert found.exit_code == 0, found.output


if __name__ == "__main__":
    main()
