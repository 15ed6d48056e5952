"""Shared setup: where `checking` is found, and how many programs Hypothesis generates.

`TAPELESS_PROPERTY_EXAMPLES` and `TAPELESS_PROPERTY_SEED` (tests/properties) make longer runs.
"""

import sys
from pathlib import Path

TESTS = str(Path(__file__).parent)
if TESTS not in sys.path:
    sys.path.insert(0, TESTS)
