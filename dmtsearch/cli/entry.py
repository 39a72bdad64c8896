"""Where the `dmtsearch` command begins: a Ctrl-C while it loads gives no traceback either."""

import sys


def main() -> None:
    """Load the command line and run it; exit codes as in `dmtsearch.cli.main`."""
    try:
        from dmtsearch.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
