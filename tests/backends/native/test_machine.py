"""Compiled nests called from Python: what goes in, what comes out, what is refused, what is freed."""

from __future__ import annotations

import gc
import resource
import threading

import numpy as np
import pytest

from tapeless.backends.native.machine import Mismatch, compile
from tapeless.backends.native.nest import (
    BOOL,
    F32,
    F64,
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Check,
    Const,
    Dim,
    Failure,
    For,
    Function,
    Load,
    Raise,
    Ref,
    Scalar,
    Store,
    Swap,
    apply,
    cast,
    const,
)

FAILURES = [Failure(ValueError, ("no", 3), "file.py", 1), Failure(ZeroDivisionError, (), "file.py", 2)]


def scalar_function(type: str = F64) -> Function:
    x, y = Scalar("x", type), Scalar("y", type)
    return Function("same", [x], [Assign(y, Ref(x))], [y])


def doubled(*, ndim: int = 1, contiguous: bool = True, dtype: str = "float64") -> Function:
    """`made = a + a`."""
    a, made = Array("a", dtype, ndim, contiguous), Array("made", dtype, ndim)
    vars = [Scalar(f"i{k}", I64) for k in range(ndim)]
    at = tuple(map(Ref, vars))
    body: list = [Store(made, at, Load(a, at) + Load(a, at))]
    for k in reversed(range(ndim)):
        body = [For(vars[k], ZERO, Dim(a, k), body, independent=True)]
    return Function("doubled", [a], [Alloc(made, tuple(Dim(a, k) for k in range(ndim))), *body], [made])


def shifted() -> Function:
    """`b[i] = a[i - 1] + 1.0` for i ≥ 1."""
    a, b, i = Array("a", "float64", 1), Array("b", "float64", 1), Scalar("i", I64)
    body = [For(i, ONE, Dim(b, 0), [Store(b, (Ref(i),), Load(a, (Ref(i) - 1,)) + 1.0)])]
    return Function("shifted", [a, b], body, [])


@pytest.mark.parametrize(
    ("type", "cls", "value"),
    [
        (F64, float, -2.5), (F64, np.float64, -2.5), (F32, np.float32, 0.1), (I64, int, -(2**63)),
        (I64, np.int64, 2**40), (I64, np.int32, -5), (I64, np.int8, -7), (I64, np.uint8, 200),
        (I64, np.uint32, 2**31), (BOOL, bool, True), (BOOL, bool, False), (BOOL, np.bool_, True),
    ],
)  # fmt: skip
def test_scalars_come_in_by_their_exact_class_and_leave_as_pythons(type, cls, value):
    kernel = compile(scalar_function(type), [cls])
    (got,) = kernel.call(cls(value))
    assert got == cls(value).item() if isinstance(cls(value), np.generic) else got == value
    assert got.__class__ is {F64: float, F32: float, I64: int, BOOL: bool}[type]


@pytest.mark.parametrize(
    ("type", "cls", "wrong"),
    [
        (F64, float, 1), (F64, float, np.float64(1.0)), (F64, np.float64, 1.0), (I64, int, True),
        (I64, int, 2**63), (I64, int, 1.0), (I64, int, np.int64(3)), (BOOL, bool, 1), (BOOL, bool, None),
        (F64, float, np.ones(())), (F64, float, "1.0"),
    ],
)  # fmt: skip
def test_a_scalar_of_another_class_is_a_mismatch(type, cls, wrong):
    kernel = compile(scalar_function(type), [cls])
    with pytest.raises(Mismatch):
        kernel.call(wrong)


def test_the_number_of_arguments_is_checked():
    kernel = compile(scalar_function())
    for args in ((), (1.0, 2.0)):
        with pytest.raises(Mismatch):
            kernel.call(*args)


def test_a_signature_that_does_not_fit_the_parameters_is_refused():
    with pytest.raises(TypeError, match="x is f64, which no int is"):
        compile(scalar_function(), [int])


def read_only(a):
    a.flags.writeable = False
    return a


def unaligned(n):
    return np.zeros(8 * n + 1, np.uint8)[1:].view(np.float64)


class Sub(np.ndarray):
    pass


@pytest.mark.parametrize(
    "wrong",
    [
        [1.0], np.ones((2, 2)), np.ones(3, np.float32), np.ones(3, ">f8"), np.ones(3, np.int64), unaligned(3),
        np.ones(6)[::2], np.ones(3).view(Sub), None, 1.0,
    ],
    ids="list ndim float32 big-endian int64 unaligned strided subclass None float".split(),
)  # fmt: skip
def test_an_array_that_is_not_as_declared_is_a_mismatch(wrong):
    with pytest.raises(Mismatch):
        compile(doubled()).call(wrong)


def test_memory_that_is_written_must_be_writeable():
    kernel = compile(shifted())
    kernel.call(read_only(np.ones(3)), np.ones(3))
    with pytest.raises(Mismatch):
        kernel.call(np.ones(3), read_only(np.ones(3)))


def test_what_does_not_fit_goes_to_miss():
    kernel = compile(scalar_function())
    door = kernel.door(lambda *args, **kwargs: ("missed", args, kwargs), kernel.careful)
    assert door(2) == ("missed", (2,), {})
    assert door(2.0, n=3) == ("missed", (2.0,), {"n": 3})
    assert door(2.0) == (2.0,)


def test_what_is_returned():
    a, x, n, b, y = (
        Array("a", "float64", 1), Scalar("x", F64), Scalar("n", I64), Scalar("b", BOOL), Scalar("y", F32),
    )  # fmt: skip
    fn = Function("several", [a, x, n, b, y], [], [x, n, b, y, a])
    given = np.ones(3)

    def result(*kinds: type) -> tuple:
        numbers = tuple(("result", k, kind) for k, kind in enumerate(kinds))
        output = (
            "tuple",
            (("tuple", (numbers[0], ("none",))), *numbers[1:], ("argument", 0), ("result", 4, None)),
        )
        made = compile(fn, [None, float, int, bool, np.float32], output)
        return made.call(given, 2.5, -3, True, np.float32(0.5))

    for kinds in [
        (float, int, bool, float),
        (np.float64, np.int64, np.bool_, np.float32),
        (np.float64, np.int8, np.bool_, np.float32),
        (float, np.int32, bool, np.float32),
    ]:
        (x_out, nothing), n_out, b_out, y_out, same, copy = result(*kinds)
        assert (x_out, n_out, b_out, y_out) == (2.5, -3, True, 0.5)
        assert [type(v) for v in (x_out, n_out, b_out, y_out)] == list(kinds)
        assert nothing is None and same is given and copy is not given and np.array_equal(copy, given)
    assert result(float, int, np.bool_, float)[2] is np.True_


def test_numbers_of_numpy_are_whole_objects():
    x = Scalar("x", F64)
    call = compile(Function("same", [x], [], [x]), [float], ("result", 0, np.float64)).call
    made = [call(float(k)) for k in range(1000)]
    assert sum(made) == 499500.0 and np.sqrt(made[4]) == 2.0 and hash(made[7]) == hash(7.0)
    assert repr(made[3] + made[4]) == "np.float64(7.0)"


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "int16", "uint8", "uint32"])
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 4), (2, 0, 3), (2, 3, 4)])
def test_arrays_of_every_type_and_shape(dtype, shape):
    given = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    (got,) = compile(doubled(ndim=len(shape), dtype=dtype)).call(given)
    assert got.dtype == given.dtype and got.shape == given.shape
    assert np.array_equal(got, given + given)
    assert got.flags.c_contiguous and got.flags.writeable and got.flags.owndata


@pytest.mark.parametrize(
    "view",
    [lambda a: a[::2, ::-1], lambda a: a.T, lambda a: a[1:, 2:], lambda a: np.broadcast_to(a[0], (5, 6))],
)
def test_strided_arguments(view):
    given = view(np.arange(48.0).reshape(8, 6))
    (got,) = compile(doubled(ndim=2, contiguous=False)).call(given)
    assert np.array_equal(got, given + given) and got.flags.c_contiguous


def test_an_element_of_records_has_strides_that_are_no_multiple_of_its_size():
    records = np.zeros(4, [("x", "f8"), ("n", "i4")])
    with pytest.raises(Mismatch):
        compile(doubled(contiguous=False)).call(records["x"])


def test_arguments_that_share_memory_go_to_another_version():
    kernel = compile(shifted())
    memory = np.zeros(100)
    kernel.call(memory[:50], memory[50:])
    assert kernel.overlapping is None
    kernel.call(memory, memory)  # each element reads the one before, just written
    assert kernel.overlapping is not None
    assert np.array_equal(memory, np.arange(100.0))


def test_a_parameter_given_back_is_a_copy():
    a = Array("a", "float64", 2, contiguous=False)
    given = np.arange(6.0).reshape(2, 3).T
    (got,) = compile(Function("f", [a], [], [a])).call(given)
    assert np.array_equal(got, given) and not np.shares_memory(got, given)


def test_an_array_given_back_twice_is_two_arrays():
    fn = doubled()
    fn.results = fn.results * 2
    one, two = compile(fn).call(np.ones(3))
    assert np.array_equal(one, two) and not np.shares_memory(one, two)


def test_another_shape_of_an_array_is_given_without_a_copy():
    a, made, i = Array("a", "float64", 1), Array("made", "float64", 1), Scalar("i", I64)
    square = Array("square", "float64", 2, alias=made)
    fill = For(i, ZERO, Dim(a, 0), [Store(made, (Ref(i),), Load(a, (Ref(i),)))])
    body = [Alloc(made, (Dim(a, 0),)), fill, Alias(square, (const(2), Dim(a, 0) // 2))]
    kernel = compile(Function("f", [a], body, [square]))
    assert kernel.call(np.arange(6.0))[0].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert "copy" not in kernel.ir and kernel.ir.count("tl_malloc(i64") == 2
    both = compile(Function("f", [a], body, [square, made, square]))
    one, two, three = both.call(np.arange(6.0))
    assert one.tolist() == three.tolist() and two.tolist() == one.ravel().tolist()
    assert not np.shares_memory(one, two) and not np.shares_memory(one, three)
    whole = Array("whole", "float64", 2, alias=a)
    given = np.arange(6.0)
    (got,) = compile(Function("f", [a], [Alias(whole, (const(2), const(3)))], [whole])).call(given)
    assert got.shape == (2, 3) and not np.shares_memory(got, given)


def test_another_shape_of_memory_that_was_swapped_is_copied():
    a, b = Array("a", "float64", 1), Array("b", "float64", 1)
    square = Array("square", "float64", 2, alias=a)
    body = [Alloc(a, (const(2),)), Alloc(b, (const(2),))]
    body += [Store(x, (const(k),), const(v)) for x, v in ((a, 1.0), (b, 2.0)) for k in range(2)]
    body += [Alias(square, (const(1), const(2))), Swap(a, b)]
    got = compile(Function("f", [], body, [square, a, b])).call()
    assert [x.tolist() for x in got] == [[[1.0, 1.0]], [2.0, 2.0], [1.0, 1.0]]


def test_no_results():
    assert compile(shifted()).call(np.ones(3), np.ones(3)) == ()


def test_failures_raise_their_exceptions():
    x = Scalar("x", F64)
    body = [Check(apply("gt", Ref(x), 0.0), 0), Raise(1)]
    with pytest.raises(ZeroDivisionError):
        compile(Function("f", [x], body, [x], FAILURES)).call(1.0)
    with pytest.raises(ValueError) as caught:
        compile(Function("f", [x], [Check(Const(False, BOOL), 0)], [x], FAILURES)).call(1.0)
    assert caught.value.args == ("no", 3)


def test_too_much_memory_is_a_memory_error():
    n, a = Scalar("n", I64), Array("a", "float64", 2)
    kernel = compile(Function("f", [n], [Alloc(a, (Ref(n), Ref(n)))], [a]))
    assert kernel.call(2)[0].shape == (2, 2)
    for size in (2**25, 2**32, 2**62):  # too much; more than 64 bits can say
        with pytest.raises(MemoryError):
            kernel.call(size)


def large_temporary() -> Function:
    """The last of n ones in an array that does not leave."""
    n, i, a, out = Scalar("n", I64), Scalar("i", I64), Array("a", "float64", 1), Scalar("out", "f64")
    fill = For(i, ZERO, Ref(n), [Store(a, (Ref(i),), cast(Ref(i), "f64"))])
    return Function("f", [n], [Alloc(a, (Ref(n),)), fill, Assign(out, Load(a, (Ref(n) - 1,)))], [out])


def test_large_temporaries_are_kept_for_the_next_call():
    kernel = compile(large_temporary())
    sizes = [1, 127, 128, 8191, 8192, 8193, 10_000, 12_289, 2**20, 2**20 + 1, 5 * 2**18]
    for n in sizes * 3 + sizes[::-1]:
        assert kernel.call(n) == (n - 1.0,)

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            kernel.call(2**20)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    assert faults() < 2000  # the pages of one call: 2048


def test_too_much_for_a_temporary_is_a_memory_error():
    kernel = compile(large_temporary())
    for n in (2**45, 2**60, 2**61):
        with pytest.raises(MemoryError):
            kernel.call(n)
    assert kernel.call(10) == (9.0,)


def test_large_temporaries_in_several_threads():
    kernel = compile(large_temporary())
    wrong = []

    def run(n: int) -> None:
        for _ in range(300):
            if kernel.call(n) != (n - 1.0,):
                wrong.append(n)

    running = [threading.Thread(target=run, args=(n,)) for n in (9000, 9001, 20_000)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    assert not wrong


def test_calls_do_not_grow_the_process():
    fn = doubled()
    again = Array("again", "float64", 1)
    n = Scalar("n", F64)
    # a temporary, and a failure that leaves it behind
    fn.body += [Alloc(again, (Dim(fn.params[0], 0),)), Assign(n, Load(fn.results[0], (ZERO,)))]
    fn.body.append(Check(apply("gt", Ref(n), 0.0), 0))
    fn.failures = FAILURES
    fn.results.append(n)
    kernel = compile(fn)
    good, bad = np.ones(1000), np.zeros(1000)
    door = kernel.door(lambda *_: None, kernel.careful)

    def calls(times: int) -> None:
        for _ in range(times):
            kernel.call(good)
            try:
                kernel.call(bad)
            except ValueError:
                pass
            door(None)

    calls(1000)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    calls(10_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2000  # KiB; a leak of each is 80,000


def test_code_lives_as_long_as_its_function():
    call = compile(scalar_function()).call
    gc.collect()
    assert call(3.0) == (3.0,)


def test_what_llvm_makes_can_be_read():
    kernel = compile(doubled())
    assert "define i64 @tl_body" in kernel.ir
    assert "<8 x double>" in kernel.optimised_ir or "x double>" in kernel.optimised_ir
    assert "tl_body:" in kernel.assembly
