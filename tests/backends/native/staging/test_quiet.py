"""Blocks in which warnings are filtered, texts that are joined, and what `filterfalse` leaves."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.special  # noqa: F401  (it sets a filter when it is first imported)

import tapeless as tl


def mean(x, k):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        m = np.nanmean(x)
    for i in range(3):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="unheard")
            m = m * (k + i)
            if m > 9.0:
                return m * k
    return m


def warned(x, k):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.warn("not seen", UserWarning, stacklevel=2)
        warnings.warn("seen", RuntimeWarning, stacklevel=2)
    return x.sum() * k


def outcome(function, k):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = warnings.filters[:]
        value = function(np.array([1.0, 2.0, 3.0]), k)
        assert warnings.filters == before
    return value, [str(w.message) for w in caught]


@pytest.mark.parametrize("program", [mean, warned])
@pytest.mark.parametrize("k", [0.5, 1.5])
def test_blocks_with_filters(program, k):
    value, seen = outcome(tl.jit(program), k)
    wanted = outcome(program, k)
    assert value == pytest.approx(wanted[0], rel=1e-12)
    assert seen == wanted[1]
    slope = tl.jit(tl.grad(program))
    np.testing.assert_allclose(outcome(slope, k)[0], outcome(tl.grad(program), k)[0], rtol=1e-12)


def for_good(x):
    with warnings.catch_warnings():
        x = x + 1.0
    warnings.simplefilter("ignore")
    return x


def as_errors(x):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.log(np.float64(x))


def recorded(x):
    with warnings.catch_warnings(record=True) as found:
        x = x + 1.0
    return x + len(found)


@pytest.mark.parametrize("program", [for_good, as_errors, recorded])
def test_filters_that_matter_are_refused(program):
    with pytest.raises(tl.TapelessError, match="test_quiet"):
        tl.jit(program)(-1.0)


def joined(x):
    rows = [f"{k}: {x * k:.2f}" for k in range(4)]
    print(", ".join(["x", f"{x}", "end"]))
    return x * x, "\n".join(rows) + "\nend", " ".join(rows)


def test_texts_are_joined(capsys):
    wanted = joined(3.0)
    text = capsys.readouterr().out
    assert tl.jit(joined)(3.0) == wanted
    assert capsys.readouterr().out == text


def left_out(x):
    rest = itertools.filterfalse(lambda k: k % 2, range(6))
    return sum(rest) * x + sum(itertools.filterfalse(None, [0, 1, 0.0])) + x


def test_filterfalse():
    assert tl.jit(left_out)(3.0) == left_out(3.0)
    assert tl.jit(tl.grad(left_out))(3.0) == 7.0
