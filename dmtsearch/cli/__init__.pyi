from .demo_command import activation as activation
from .fitted_table import wrap_words as wrap_words
from .report_command import show as show
from .search_command import finish as finish
from .search_command import status as status
from .search_view import stage_table as stage_table
from .terminal import table as table
from .train_view import Clock as Clock
