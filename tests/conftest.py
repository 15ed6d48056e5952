"""Shared setup: where `checking` is found, and how many programs Hypothesis generates.

`TAPELESS_PROPERTY_EXAMPLES` and `TAPELESS_PROPERTY_SEED` (tests/properties) make longer runs.
`TAPELESS_TEST_NATIVE=0` leaves out the compiled programs of `checking.check`.
"""

import gc
import os
import sys
from pathlib import Path

TESTS = str(Path(__file__).parent)
if TESTS not in sys.path:
    sys.path.insert(0, TESTS)
# what is tested is compiled, not found on disk; tests of the cache have directories of their own
os.environ.setdefault("TAPELESS_CACHE_DIR", "")


def pytest_collection_finish():
    """What imports have made stays, and memory is not short: the collector of cycles has less to walk."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
