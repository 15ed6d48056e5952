"""Compiled functions where llvmlite is not installed."""

import sys

import pytest

import tapeless as tl


def test_what_to_install_is_said(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tapeless.backends.native")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("tapeless.backends.native", raising=False)
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    for use in (
        lambda: tl.jit(lambda x: x * x)(2.0),
        lambda: tl.compiled(lambda x: x * x, 2.0),
        lambda: tl.export(lambda x: x * x, (2.0,), "never written"),
    ):
        with pytest.raises(ModuleNotFoundError, match=r"tapeless\[native\]"):
            use()
