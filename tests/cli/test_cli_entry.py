"""The `dmtsearch` command from its first moment, in a process of its own."""

import subprocess
import sys

STOPPED = """
import sys
class Stop:
    def find_spec(self, name, *rest):
        if name == {name!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Stop())
sys.argv = ["dmtsearch", "check", {file!r}]
from dmtsearch.cli.entry import main
main()
"""


def test_ctrl_c_while_the_command_loads_is_no_traceback(small):
    for name in ("typer", "fsspec", "torch"):
        code = STOPPED.format(name=name, file=str(small))
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (130, ""), name
