"""The sample data of ADBench, where it is at hand; each problem makes seeded data of its own otherwise.

`TAPELESS_DATA` names the folder that holds `adbench`; by default it is `shared/data` beside the repository.
"""

import os
from pathlib import Path


def adbench(path: str) -> Path | None:
    """The file or folder `path` of ADBench's data, or None where it is not there."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    found = Path(os.environ.get("TAPELESS_DATA", beside)) / "adbench" / path
    return found if found.exists() else None
