"""The modules of lowerings, imported so that they enter the table."""

from tapeless.backends.native.staging import (
    conversions,
    creation,
    joining,
    products,
    reductions,
    searching,
    shapes,
)

MODULES = (conversions, creation, joining, products, reductions, searching, shapes)
