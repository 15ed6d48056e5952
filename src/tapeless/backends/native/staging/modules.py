"""The modules of lowerings, imported so that they enter the table."""

from tapeless.backends.native.staging import (
    accumulations,
    conversions,
    creation,
    einsum,
    extrema,
    fourier,
    joining,
    linear_algebra,
    patterns,
    products,
    reductions,
    reshaping,
    searching,
    shapes,
    sorting,
    special_functions,
)

MODULES = (
    accumulations, conversions, creation, einsum, extrema, fourier, joining, linear_algebra, patterns,
    products, reductions, reshaping, searching, shapes, sorting, special_functions,
)  # fmt: skip
