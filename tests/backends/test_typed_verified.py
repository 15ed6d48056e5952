"""Every typed Program, and every linear Program made of one, is well formed."""

import copy

import pytest
from test_typed_containers import PROGRAMS as CONTAINERS
from typed_programs import PROGRAMS

from tapeless.autodiff.assemble import careful_half, linearized
from tapeless.backends.python.entry import Target
from tapeless.program.verifier import verify

ALL = [*PROGRAMS, *((f, args, (0, 1)) for f, args in CONTAINERS)]


@pytest.mark.parametrize(("f", "args", "nums"), ALL, ids=[f.__name__ for f, _, _ in ALL])
def test_typed_programs_are_well_formed(f, args, nums):
    target = Target(f, copy.deepcopy(args), {}, nums)
    lin = linearized(target.unit, target.active)
    careful = careful_half(lin)
    careful.make()
    for unit in (*target.session.units.values(), lin.forward, lin.reverse, careful):
        verify(unit.program, typed=True)
