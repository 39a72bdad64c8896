"""Which schedules may be tried: a schedule with holes, checked and filled."""

from .arms import Arm as Arm
from .arms import control_arms as control_arms
from .arms import placebo_within as placebo_within
from .hole import Condition as Condition
from .hole import Hole as Hole
from .recipes import RECIPES as RECIPES
from .schedule_view import CannotHaveError as CannotHaveError
from .schedule_view import Costs as Costs
from .schedule_view import ScheduleView as ScheduleView
from .schema import json_schema as json_schema
from .space import Space as Space
from .space import dump_space as dump_space
from .space import is_space as is_space
from .space import load_space as load_space
from .space import override_space as override_space
from .space import parse_space as parse_space
