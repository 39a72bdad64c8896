"""What a schedule is: read, check, expand, describe and write it. Knows no torch."""

from .compact import as_schedule as as_schedule
from .describe import describe as describe
from .dump import dump_schedule as dump_schedule
from .expand import expand as expand
from .expanded import Adapter as Adapter
from .expanded import DataSpec as DataSpec
from .expanded import Degrade as Degrade
from .expanded import Expanded as Expanded
from .expanded import Hard as Hard
from .expanded import Hint as Hint
from .expanded import HintPhase as HintPhase
from .expanded import Merit as Merit
from .expanded import Optimizer as Optimizer
from .expanded import Resources as Resources
from .expanded import Select as Select
from .expanded import Soft as Soft
from .expanded import SourceRef as SourceRef
from .expanded import Stage as Stage
from .expanded import Switch as Switch
from .load import load_schedule as load_schedule
from .load import parse_schedule as parse_schedule
from .override import override as override
from .problems import Origin as Origin
from .schedule import Schedule as Schedule
from .schema import json_schema as json_schema
from .search import SearchSpec as SearchSpec
