"""What `scipy.stats` wraps its functions in (axes, NaN, samples that are too small), shorter.

It is for arrays without NaN that are large enough; the plain function makes other calls.
"""

from __future__ import annotations

import inspect
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from tapeless.backends.native.staging.polynomial_programs import leave


def is_wrapped(function: FunctionType) -> bool:
    return function.__code__.co_name == "axis_nan_policy_wrapper" and function.__closure__ is not None


@cache
def wrapper(function: FunctionType) -> Any:
    """A program in the place of a wrapped function; None if SciPy does not wrap as expected."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    try:
        held = {name: cells[name].cell_contents for name in (
            "hypotest_fun_in", "n_samples", "n_outputs", "default_axis", "override", "result_to_tuple",
            "tuple_to_result", "is_too_small", "kwd_samples",
        )}  # fmt: skip
        parameters = list(inspect.signature(held["hypotest_fun_in"]).parameters)
    except (KeyError, ValueError):
        return None
    inside, count, outputs = held["hypotest_fun_in"], held["n_samples"], held["n_outputs"]
    vectorized = "axis" in parameters and not held["override"]["vectorization"]
    default_axis, further = held["default_axis"], tuple(held["kwd_samples"])
    as_tuple, as_result, too_small = held["result_to_tuple"], held["tuple_to_result"], held["is_too_small"]

    def program(*args: Any, **options: Any) -> Any:
        names = [f"arg{k}" for k in range(len(args))] + parameters[1:] if count is None else parameters
        options = {**options, **dict(zip(names, args, strict=False))}
        number = len(args) if count is None else count(options) if callable(count) else count
        axis = options.pop("axis", default_axis)
        policy = options.pop("nan_policy", "propagate")
        keepdims = options.pop("keepdims", False)
        for name in further:
            if options.get(name) is not None:
                leave()
        samples = [np.atleast_1d(np.asarray(options.pop(name))) for name in names[:number]]
        if policy != "propagate" or isinstance(axis, tuple):
            leave()
        for a in samples:
            if a.dtype != samples[0].dtype or np.isnan(np.sum(a)):
                leave()
        reduced = axis
        if axis is None:
            reduced = tuple(range(max([a.ndim for a in samples])))
            samples = [np.ravel(a) for a in samples]
        else:
            samples = [np.moveaxis(a, axis, -1) for a in samples]
        flat = all([a.ndim == 1 for a in samples])
        if flat:
            if too_small(samples, options):
                leave()
            made = inside(*samples, **options)
        else:
            if not vectorized or number != 1 or samples[0].shape[-1] < 2:
                leave()
            made = inside(*samples, axis=-1, **options)
        parts = as_tuple(made, outputs(options) if callable(outputs) else outputs)
        if keepdims:
            parts = [np.expand_dims(p, reduced) for p in parts]
        else:
            parts = [p[()] for p in parts]
        return as_result(*parts)

    return program
