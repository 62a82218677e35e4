"""`python -m langmodels` is the `langmodels` command."""

import sys

from langmodels.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
