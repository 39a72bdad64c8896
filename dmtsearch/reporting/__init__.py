"""From a run folder to a page: what it says (data), figures (drawing), pages (templates).

Importing and rendering need neither torch nor ray; Optuna's importance needs optuna.
"""

from .answer import answer as answer
from .findings import Summary as Summary
from .findings import summarize as summarize
from .report import Report as Report
from .report import write_report as write_report
from .run_record import RunRecord as RunRecord
from .run_record import read_run as read_run
