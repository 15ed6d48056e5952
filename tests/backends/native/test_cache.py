"""Object code on disk: found again, in another process too; whatever is broken is as if it were not there."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tapeless.backends.native import cache, memory, symbols
from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    F64,
    ZERO,
    Alloc,
    Array,
    Check,
    Dim,
    Failure,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Store,
    apply,
)


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    memory.library()  # else the first kernel of the process puts it there too
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    return tmp_path


def shifted(failure: type[BaseException] = ValueError, op: str = "sqrt") -> Function:
    """`made[i] = sqrt(a[i]) + x`, x being positive."""
    a, made, i, x = (
        Array("a", "float64", 1),
        Array("made", "float64", 1),
        Scalar("i", "i64"),
        Scalar("x", F64),
    )
    value = apply(op, Load(a, (Ref(i),))) + Ref(x)
    body = [Check(apply("gt", Ref(x), 0.0), 0), Alloc(made, (Dim(a, 0),))]
    body.append(For(i, ZERO, Dim(a, 0), [Store(made, (Ref(i),), value)], independent=True))
    return Function("shifted", [a, x], body, [made], [Failure(failure, ("not positive",), "file.py", 3)])


def files(directory):
    return [p for p in directory.rglob("*") if p.is_file()]


def test_a_kernel_is_found_again_with_its_metadata(directory):
    assert cache.load("key") is None
    assert cache.store("key", compile(shifted()), {"names": ("a", "x")})
    found = cache.load("key")
    assert found.metadata == {"names": ("a", "x")}
    given = np.linspace(0, 1, 50)
    np.testing.assert_allclose(found.call(given, 2.0)[0], np.sqrt(given) + 2)
    with pytest.raises(ValueError, match="not positive"):
        found.call(given, -1.0)
    assert cache.load("another key") is None
    assert len(files(directory)) == 1


def test_a_kernel_from_disk_compiles_what_it_lacks():
    a, i = Array("a", "float64", 1), Scalar("i", "i64")
    b = Array("b", "float64", 1)
    fn = Function("f", [a, b], [For(i, ZERO, Dim(a, 0), [Store(a, (Ref(i),), Load(b, (ZERO,)) + 1.0)])], [])
    cache.store("key", compile(fn))
    found, memory = cache.load("key"), np.zeros(3)
    found.call(memory, memory)
    assert memory.tolist() == [1.0, 2.0, 2.0]
    assert "tl_body" in found.ir


def test_what_is_broken_is_not_there(directory):
    cache.store("key", compile(shifted()))
    (path,) = files(directory)
    whole = path.read_bytes()
    for broken in (b"", whole[:20], whole[:-1], whole[:100] + b"?" + whole[101:], b"\0" * len(whole)):
        path.write_bytes(broken)
        assert cache.load("key") is None
    path.write_bytes(whole)
    assert cache.load("key") is not None
    cache.write("key", ("neither a kernel", "nor code", 3))
    assert cache.load("key") is None
    assert len(files(directory)) == 1


def test_what_cannot_be_pickled_is_not_kept(directory):
    class Local(Exception):
        pass

    assert not cache.store("key", compile(shifted(Local)))
    assert not cache.store("key", compile(shifted()), metadata=lambda: None)
    assert files(directory) == []


def test_an_empty_variable_turns_the_cache_off(monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, "")
    assert cache.directory() is None
    assert not cache.store("key", compile(shifted()))
    assert cache.load("key") is None


def test_the_usual_directory(monkeypatch, tmp_path):
    monkeypatch.delenv(cache.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.directory() == tmp_path / "tapeless"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.directory().name == "tapeless"


def test_a_directory_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file"))
    assert not cache.store("key", compile(shifted()))
    assert cache.load("key") is None


def test_other_surroundings_are_another_entry(monkeypatch):
    cache.store("key", compile(shifted()))
    monkeypatch.setattr(cache, "surroundings", lambda: b"another processor")
    assert cache.load("key") is None


def test_what_nobody_uses_goes(directory):
    cache.write("old", 1)
    cache.write("used", 2)
    for path in files(directory):
        os.utime(path, (0, 0))
    assert cache.read("used") == 2
    cache.tidy.cache_clear()
    cache.write("new", 3)
    assert [cache.read(key) for key in ("old", "used", "new")] == [None, 2, 3]
    assert len(files(directory)) == 2


def test_another_process_finds_it():
    kernel = compile(shifted(op="exp"))
    assert cache.store("key", kernel, "kept")
    symbols._vectors.cache_clear()  # so that the functions in lanes go to this test's directory
    memory.code()
    cache.load("key")
    code = (
        "import numpy as np\n"
        "from tapeless.backends.native import cache\n"
        "kernel = cache.load('key')\n"
        "import sys; assert 'tapeless.backends.native.nest' not in sys.modules\n"  # nothing is compiled
        "print(kernel.metadata, kernel.call(np.zeros(3), 1.5)[0].tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "kept [2.5, 2.5, 2.5]"
