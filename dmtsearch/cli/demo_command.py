"""`dmtsearch demo`: search, confirm and report on data that ships with scikit-learn."""

import shlex
import shutil
import sys
from pathlib import Path

from dmtsearch import api
from dmtsearch.cli.common_options import NewRun, Trials
from dmtsearch.cli.confirm_command import end
from dmtsearch.cli.report_command import show
from dmtsearch.cli.search_command import finish, options_of

SPACE = Path(__file__).with_name("demo.yaml")


def demo(
    out: NewRun = None,
    trials: Trials = None,
) -> None:
    """Run the main job on small digits: search, confirm, report. CPU, about four minutes.

    Ends with the path of the report, and the command that trains what it recommends. A report
    that is there already stays.

    Example: `dmtsearch demo`
    """
    from dmtsearch.engine.confirm import confirm as run_confirm
    from dmtsearch.engine.confirm_request import ConfirmRequest
    from dmtsearch.engine.run import search as run_search

    folder = out if out is not None else _new_folder(Path("runs"))
    run = run_search(SPACE, options_of(trials), out=folder)
    finish(run, advise=False)
    request = ConfirmRequest(top=1, looks=(5, 8), vary=("middle_models",))
    end(run_confirm(run, request, options_of(None)), folder, request, advise=False)
    activate = activation(Path(sys.executable), shutil.which("dmtsearch"))
    first = f"{activate}    (puts this `dmtsearch` on your PATH)" if activate else None
    show(api.report(folder, out=_new_folder(Path("reports"))), first=first)


def activation(python: Path, found: str | None) -> str | None:
    """The command that puts this environment's `dmtsearch` on the PATH; None if there is no need.

    Args:
        python: The running interpreter, not followed where it is a link.
        found: The `dmtsearch` that a shell would run now.
    """
    folder = python.parent
    script, own = folder / "activate", folder / "dmtsearch"
    if not script.is_file() or (found is not None and Path(found).absolute() == own.absolute()):
        return None
    if script.is_relative_to(Path.cwd()):
        script = script.relative_to(Path.cwd())
    return shlex.join(["source", str(script)])


def _new_folder(parent: Path) -> Path:
    """`demo`, or the first of `demo-2`, `demo-3`, ... that is not there yet."""
    number = 1
    while True:
        folder = parent / ("demo" if number == 1 else f"demo-{number}")
        if not folder.exists():
            return folder
        number += 1
