"""Operands of NumPy's and SciPy's functions may be given by their names."""

import numpy as np
from scipy import linalg

from checking import check


def test_operands_by_name():
    def f(x):
        a = (
            np.ones_like(a=x) * x
            + np.broadcast_to(array=x[0], shape=(3,))
            + np.full_like(a=x, fill_value=x[1])
        )
        b = np.pad(array=x, pad_width=1)[1:-1] * round(number=x[0] * 10.0)
        c = np.triu_indices_from(arr=np.outer(a=x, b=x))[0][:3] * x
        return a + b + c + linalg.expm(A=np.outer(x, x))

    check(f, np.array([0.33, 0.7, 1.1]))
