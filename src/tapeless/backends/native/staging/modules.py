"""The modules of lowerings, imported so that they enter the table."""

from tapeless.backends.native.staging import (
    accumulations,
    conversions,
    creation,
    dtypes,
    eigen,
    einsum,
    extrema,
    fourier,
    index_tricks,
    joining,
    linear_algebra,
    norms,
    opened,
    patterns,
    products,
    reductions,
    reshaping,
    scipy_linalg,
    scipy_matrices,
    searching,
    shapes,
    signals,
    sorting,
    special_functions,
)

MODULES = (
    accumulations, conversions, creation, dtypes, eigen, einsum, extrema, fourier, index_tricks,
    joining, linear_algebra, norms, opened, patterns, products, reductions, reshaping,
    scipy_linalg, scipy_matrices, searching, shapes, signals, sorting,
    special_functions,
)  # fmt: skip
