"""`*args` and `**kwargs` on the typed road, and calls of one gradient with other numbers of arguments."""

import functools

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.backends.python.entry import reverse_entry
from tapeless.specialise.types import NotTyped


def passing_on(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **kwargs)

    return wrapper


@passing_on
def line(a, b=2.0, *, c=1.0):
    return a * b + c


def through_a_decorator(x):
    y = x
    for i in range(5):
        y = line(y, b=0.5 * i) + line(y, c=x) * 0.01
    return y


@passing_on
@passing_on
def decorated(x, y):
    return line(x * y) * y


@passing_on
def decorated_sum(x, k=2.0):
    return np.sum(x**k)


def options(x, *args, scale=1.0, **kw):
    y = x
    if kw:
        y = y * kw["z"] if "z" in kw else y * 3.0
    if args and len(args) > 1:
        y += args[0] * args[-1]
    return y * kw.get("q", 1.0) * scale


def with_options(x):
    some = options(x) + options(x, 2.0, x) + options(x, x, z=x) + options(x, scale=x, q=x * x, w=1.0)
    pair = (x, x * x)
    return some + options(*pair) + line(*pair, **{}) + products(*pair, x)


def products(*factors):
    first, second = factors[0], factors[1]
    more = (*factors, first)
    kept = factors
    return first * second * more[3] * kept[-1]


def written_again(x):
    def shifted(*args):
        first = args[0]
        args = (first * 2.0, x)
        return args[0] * args[1] * first

    return shifted(x, 1.0)


def by_keyword_only(x, *, n=3.0):
    return x * x * n


@pytest.mark.parametrize("road", ["typed", "all"])
@pytest.mark.parametrize(
    ("program", "args"),
    [
        (through_a_decorator, (1.1,)),
        (decorated, (1.1, 2.0)),
        (decorated_sum, (np.array([1.0, 0.3]),)),
        (decorated_sum, (np.array([1.0, 0.3]), 3.0)),
        (products, (1.0, 2.0, 3.0)),
        (by_keyword_only, (1.2,)),
    ],
)
def test_arguments_are_passed_on(program, args, road):
    if road == "typed":
        reverse_entry(program, args, {}, 0, with_value=False, has_aux=False)
    else:
        check(program, *args)


@pytest.mark.parametrize("program", [with_options, written_again])
def test_uses_of_packs(program):
    check(program, 1.1)


def test_what_is_not_known_is_refused_and_followed():
    def f(x):
        return total(x, 2.0, x)

    def total(*values):
        s = 0.0
        for v in values:
            s += v * values[0]
        return s

    with pytest.raises(NotTyped):
        reverse_entry(f, (1.0,), {}, 0, with_value=False, has_aux=False)
    check(f, 1.1)


def test_defaults_of_what_is_passed_on_are_guarded():
    def f(x):
        return line(x) * x

    g = tl.grad(f)
    assert g(1.5) == 4.0 * 1.5 + 1.0
    wrapped = line.__wrapped__
    before = wrapped.__defaults__
    try:
        wrapped.__defaults__ = (3.0,)
        assert g(1.5) == 6.0 * 1.5 + 1.0
    finally:
        wrapped.__defaults__ = before
    assert g(1.5) == 4.0 * 1.5 + 1.0


def power(x, k=2.0, shift=0.0):
    return np.sum(x**k) + np.sum(x) * shift


def test_other_numbers_of_arguments():
    x = np.ones(3)
    for first in ((), (3.0,), (3.0, 1.0)):
        g = tl.grad(lambda x, k=2.0, shift=0.0: power(x, k, shift))
        for _ in range(2):
            g(x, *first)
            assert g(x)[0] == 2.0
            assert g(x, 3.0)[0] == g(x, k=3.0)[0] == g(k=3.0, x=x)[0] == 3.0
            assert g(x, shift=4.0)[0] == 6.0
            assert g(x, 3.0, 1.0)[0] == g(x, 3.0, shift=1.0)[0] == 4.0


def any_number(x, *rest, scale=1.0, **named):
    return x * rest[0] * scale * named.get("more", 1.0)


def test_other_numbers_of_arguments_of_functions_that_take_any():
    g = tl.grad(any_number)
    for _ in range(2):
        assert g(1.0, 2.0) == g(1.0, 2.0, 3.0) == 2.0
        assert g(1.0, 2.0, scale=3.0) == g(1.0, 2.0, more=3.0) == 6.0
        with pytest.raises(IndexError):
            g(1.0)
    assert tl.grad(any_number, argnums=(0, 1))(1.0, 2.0, 5.0) == (2.0, 1.0)
    assert tl.value_and_grad(any_number, argnums=1)(3.0, 2.0) == (6.0, 3.0)


def first_by_position(x, k=1.0, /, **named):
    return x * k * named.get("k", 5.0) * named.get("x", 2.0)


def test_parameters_by_position_and_keywords_of_the_same_name():
    g = tl.grad(first_by_position)
    for _ in range(2):
        assert g(1.0) == 10.0
        assert g(1.0, 2.0) == 20.0
        assert g(1.0, k=3.0) == 6.0
        assert g(1.0, 2.0, k=3.0) == 12.0
        assert g(1.0, x=3.0) == 15.0
        with pytest.raises(TypeError):
            g(x=1.0)


def test_a_keyword_named_like_an_argument_of_the_entry():
    g = tl.grad(lambda x, *rest, **named: x * (rest[0] if rest else named.get("argument_1", x)))
    for _ in range(2):
        assert g(1.0, 3.0) == g(1.0, argument_1=3.0) == 3.0
        assert g(x=1.0) == g(1.0) == 2.0


def test_arguments_counted_from_the_last_by_position():
    g = tl.grad(lambda a, b=1.0: a * b * b, argnums=-1)
    for _ in range(2):
        assert g(1.0, b=3.0) == 9.0
        assert g(1.0, 3.0) == 6.0
        assert g(2.0) == 1.0


def test_every_gradient_of_a_function_has_the_entry_that_one_made():
    def f(x):
        return x * x * 3.0

    earlier = tl.grad(f)
    later = tl.grad(f)
    assert later(2.0) == earlier(2.0) == 12.0
    assert type(earlier) is type(later)
