"""`python -m tapeless`."""

import sys

from tapeless.cli import main

if __name__ == "__main__":
    sys.exit(main())
