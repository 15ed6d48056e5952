"""The modules of lowerings, imported so that they enter the table."""

from tapeless.backends.native.staging import (
    conversions,
    creation,
    einsum,
    fourier,
    joining,
    linear_algebra,
    products,
    reductions,
    searching,
    shapes,
    special_functions,
)

MODULES = (
    conversions, creation, einsum, fourier, joining, linear_algebra, products, reductions, searching, shapes,
    special_functions,
)  # fmt: skip
