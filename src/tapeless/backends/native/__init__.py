"""Compiled functions: loops over numbers and elements, and machine code by LLVM."""

import importlib.util

for _name in ("llvmlite", "scipy"):
    if importlib.util.find_spec(_name) is None:
        raise ModuleNotFoundError(
            f"compiled functions need {_name}: pip install 'tapeless[native]'", name=_name
        )
