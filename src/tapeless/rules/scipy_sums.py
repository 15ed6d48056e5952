"""`scipy.special.logsumexp`, of which SciPy leaves out the greatest numbers and counts them: a program whose
derivative is another where several are greatest."""
# The twin is opened like a function of the program: it stays without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np
import scipy.special as sc  # type: ignore[import-untyped]

from tapeless.rules.registry import twin
from tapeless.rules.twins import exactly, plainly


@twin(sc.logsumexp)
def _logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    found = plainly(sc.logsumexp, a, axis, b, keepdims, return_sign)
    value = found[0] if return_sign else found
    whole = plainly(sc.logsumexp, a, axis, b, True, return_sign)
    top = whole[0] if return_sign else whole
    top = plainly(np.where, plainly(np.isfinite, top), top, 0.0)
    powers = np.exp(np.asarray(a) - top)
    powers = powers if b is None else b * powers
    total = np.sum(powers, axis=axis, keepdims=True)
    formula = np.log(total * np.conjugate(whole[1]) if return_sign else total) + top
    value = exactly(value, np.reshape(formula, np.shape(value)))
    return (value, found[1]) if return_sign else value
