"""SO WHAT: from a run folder to a page. Summary (data), figures (drawing), pages (templates).

`dmtsearch.report("runs/x")` writes the report of a run, as `dmtsearch.api.report` says it.
Importing and rendering need neither torch nor ray; Optuna's importance needs optuna.
"""

from dmtsearch.rooms import make_callable

make_callable(__name__)
