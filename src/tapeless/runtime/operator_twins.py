"""Python twins of the functions of `operator`."""
# The twins are read as source and opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import operator

from tapeless.runtime.twins import twin


@twin(operator.add)
def _op_add(a, b):
    return a + b


@twin(operator.sub)
def _op_sub(a, b):
    return a - b


@twin(operator.mul)
def _op_mul(a, b):
    return a * b


@twin(operator.truediv)
def _op_truediv(a, b):
    return a / b


@twin(operator.pow)
def _op_pow(a, b):
    return a**b


@twin(operator.mod)
def _op_mod(a, b):
    return a % b


@twin(operator.floordiv)
def _op_floordiv(a, b):
    return a // b


@twin(operator.matmul)
def _op_matmul(a, b):
    return a @ b


@twin(operator.neg)
def _op_neg(a):
    return -a


@twin(operator.pos)
def _op_pos(a):
    return +a


@twin(operator.iadd)
def _op_iadd(a, b):
    a += b
    return a


@twin(operator.isub)
def _op_isub(a, b):
    a -= b
    return a


@twin(operator.imul)
def _op_imul(a, b):
    a *= b
    return a


@twin(operator.itruediv)
def _op_itruediv(a, b):
    a /= b
    return a


@twin(operator.ipow)
def _op_ipow(a, b):
    a **= b
    return a


@twin(operator.imod)
def _op_imod(a, b):
    a %= b
    return a


@twin(operator.ifloordiv)
def _op_ifloordiv(a, b):
    a //= b
    return a


@twin(operator.imatmul)
def _op_imatmul(a, b):
    a @= b
    return a


@twin(operator.iand)
def _op_iand(a, b):
    a &= b
    return a


@twin(operator.ior)
def _op_ior(a, b):
    a |= b
    return a


@twin(operator.ixor)
def _op_ixor(a, b):
    a ^= b
    return a


@twin(operator.ilshift)
def _op_ilshift(a, b):
    a <<= b
    return a


@twin(operator.irshift)
def _op_irshift(a, b):
    a >>= b
    return a


@twin(operator.iconcat)
def _op_iconcat(a, b):
    a += b
    return a


@twin(operator.and_)
def _op_and_(a, b):
    return a & b


@twin(operator.or_)
def _op_or_(a, b):
    return a | b


@twin(operator.xor)
def _op_xor(a, b):
    return a ^ b


@twin(operator.lshift)
def _op_lshift(a, b):
    return a << b


@twin(operator.rshift)
def _op_rshift(a, b):
    return a >> b


@twin(operator.lt)
def _op_lt(a, b):
    return a < b


@twin(operator.le)
def _op_le(a, b):
    return a <= b


@twin(operator.gt)
def _op_gt(a, b):
    return a > b


@twin(operator.ge)
def _op_ge(a, b):
    return a >= b


@twin(operator.eq)
def _op_eq(a, b):
    return a == b


@twin(operator.ne)
def _op_ne(a, b):
    return a != b


@twin(operator.concat)
def _op_concat(a, b):
    return a + b


@twin(operator.getitem)
def _op_getitem(a, b):
    return a[b]


@twin(operator.setitem)
def _op_setitem(a, b, c):
    a[b] = c


@twin(operator.delitem)
def _op_delitem(a, b):
    del a[b]
