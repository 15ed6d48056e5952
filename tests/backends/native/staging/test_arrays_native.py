"""Some of the staged array operations as machine code: what the nest's Python printer may hide."""

import pytest
from tests.backends.native.staging import test_arrays, test_arrays_algebra, test_arrays_whole
from tests.backends.native.staging.traced import compare

CASES = {
    f"{group}-{name}": case
    for group, cases in {
        "ELEMENTWISE": test_arrays.ELEMENTWISE,
        "FUNCTIONS": test_arrays.FUNCTIONS,
        "INDEXING": test_arrays.INDEXING,
        "FANCY": test_arrays.FANCY,
        **test_arrays_whole.GROUPS,
        **test_arrays_algebra.GROUPS,
    }.items()
    for name, case in list(cases.items())[::4]
}


@pytest.mark.parametrize("name", CASES)
def test_machine_code_is_plain(name):
    program, *arguments = CASES[name]
    compare(program, *arguments, rtol=1e-10, native=True)
