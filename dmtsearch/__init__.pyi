from .api import check as check
from .api import confirm as confirm
from .api import evaluate as evaluate
from .api import export as export
from .api import load_bundle as load_bundle
from .api import load_schedule as load_schedule
from .api import load_space as load_space
from .api import plan as plan
from .api import report as report
from .api import resume as resume
from .api import search as search
from .api import train as train
from .engine.run import Run as Run
from .errors import DmtSearchError as DmtSearchError
from .schedule import Schedule as Schedule
from .selectors.arrays import Selector as Selector
from .space import Space as Space

__version__: str
