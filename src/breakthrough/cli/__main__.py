"""`python -m breakthrough.cli`: the command line without its script."""

import sys

from breakthrough.cli import main

if __name__ == "__main__":
    sys.exit(main())
