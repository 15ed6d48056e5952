"""Random numbers in compiled programs are those of the plain program, and constants for derivatives."""

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.errors import MissingRuleError, NotCompilable


def option(volatility, n):
    rng = np.random.default_rng(0)
    z = rng.normal(size=n)
    return np.mean(np.maximum(100.0 * np.exp(volatility * z - 0.5 * volatility * volatility) - 90.0, 0.0))


def path(x, n):
    rng = np.random.default_rng(42)
    total = 0.0
    for _ in range(n):
        x = 0.9 * x + 0.1 * rng.normal() + 0.1 * rng.uniform(0.0, abs(x) + 0.1)
        if rng.random() < 0.3:
            x = x * 0.5
        total += x * rng.integers(1, 5)
    return total


def legacy(x, n):
    np.random.seed(3)
    a, b = np.random.randn(n, 2), np.random.rand(n)
    i = np.random.randint(0, n, size=4)
    return np.sum(a * x) + np.sum(b**2 * x * x) + b[i].sum() * x + np.random.normal(x, 2.0)


def state(x):
    rng = np.random.RandomState(7)
    return (
        x * rng.normal(0.0, x, size=(2, 2)).sum() + rng.exponential(x) + rng.uniform(x, 3.0 * x, size=3).sum()
    )


def others(x):
    rng = np.random.default_rng(1)
    total = rng.gamma(2.0, size=3).sum() + rng.poisson(3.0) + rng.lognormal(0.0, 0.3)
    return x * (total + rng.beta(1.0, 2.0, size=(2, 2)).sum()) * x


class Walk:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.x = 0.0

    def step(self, h):
        self.x = self.x + h * self.rng.standard_normal()


def walk(h, n):
    w = Walk(4)
    for _ in range(n):
        w.step(h)
    return w.x**2


def differences(f, x, h=1e-5):
    return (f(x + h) - f(x - h)) / (2 * h)


@pytest.mark.parametrize(
    ("f", "rest"), [(option, (500,)), (path, (40,)), (legacy, (6,)), (state, ()), (others, ()), (walk, (20,))]
)
def test_numbers_and_derivatives(f, rest):
    def of_x(x):
        return f(x, *rest)

    x = 0.3
    assert tl.jit(of_x)(x) == pytest.approx(of_x(x), rel=1e-12)
    assert type(tl.jit(of_x)(x)) is type(of_x(x))
    slope = tl.jit(tl.grad(of_x))
    assert slope(x) == pytest.approx(differences(of_x, x), rel=1e-6)
    assert tl.jit(tl.grad(tl.grad(of_x)))(x) == pytest.approx(differences(slope, x), rel=1e-5, abs=1e-8)
    assert tl.jit(lambda x: tl.jvp(of_x, (x,), (1.0,)))(x) == pytest.approx((of_x(x), slope(x)), rel=1e-12)


def shuffled(v, seed):
    rng = np.random.default_rng(seed)
    w = v[rng.permutation(len(v))]
    rng.shuffle(w)
    u = rng.permutation(v)
    c, d = rng.choice(v, size=3), rng.choice(5, size=2, replace=False)
    return np.sum(w * np.arange(len(v))) + u[0] * 2.0 + np.sum(c) + v[d].sum() + rng.choice(v)


def test_permutations_and_choices():
    v = np.linspace(0.0, 1.0, 7)
    for seed in (3, 8):
        assert tl.jit(shuffled)(v, seed) == pytest.approx(shuffled(v, seed), rel=1e-12)
    units = np.eye(7)
    want = [shuffled(v + e, 3) - shuffled(v, 3) for e in units]
    np.testing.assert_allclose(tl.jit(tl.grad(shuffled))(v, 3), want, rtol=1e-10)


def noisy(x, rng):
    return x * rng.normal(x, 1.0, size=3).sum() + rng.exponential(x)


def test_a_generator_among_the_arguments_moves_on_once():
    fast, slope = tl.jit(noisy), tl.jit(tl.grad(noisy))
    for call in (fast, slope):
        for seed in (5, 6):
            ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
            got, want = call(0.4, ours), noisy(0.4, theirs)
            assert ours.bit_generator.state == theirs.bit_generator.state
            if call is fast:
                assert got == pytest.approx(want, rel=1e-12)
        assert len(call.entries) == 1


def steps_on(w, h):
    for _ in range(5):
        w.step(h)
    return w.x


def test_a_generator_in_an_object():
    ours, theirs = Walk(3), Walk(3)
    assert tl.jit(steps_on)(ours, 0.3) == pytest.approx(steps_on(theirs, 0.3), rel=1e-12)
    assert ours.x == pytest.approx(theirs.x, rel=1e-12)
    assert ours.rng.bit_generator.state == theirs.rng.bit_generator.state


def may_raise(x):
    z = np.random.normal(size=2)
    print(z[0])
    if x < 0:
        raise ValueError(f"no {x}")
    return x * z.sum()


def test_an_exception_after_a_draw(capsys):
    for x in (0.5, -0.5):
        outcomes = []
        for call in (may_raise, tl.jit(may_raise)):
            np.random.seed(1)
            try:
                result = call(x)
            except ValueError as error:
                result = str(error)
            outcomes.append((result, np.random.rand(), capsys.readouterr().out))
        assert outcomes[0] == outcomes[1]


def out_of_range(x):
    return np.random.default_rng(0).normal(0.0, x)


def test_what_numpy_refuses():
    with pytest.raises(ValueError, match="scale < 0"):
        tl.jit(out_of_range)(-1.0)


def shape(x):
    return np.random.default_rng(1).gamma(x)


def returned(x):
    return np.random.default_rng(1)


def test_what_has_no_derivative_or_no_form():
    assert tl.jit(shape)(0.4) == shape(0.4)
    with pytest.raises(MissingRuleError, match="random"):
        tl.jit(tl.grad(shape))(0.4)
    with pytest.raises(NotCompilable, match="randomnumbers"):
        tl.jit(returned)(0.4)


def test_the_loops_show_the_generator():
    text = tl.compiled(option, 0.3, 10)
    assert "rng = np.random.default_rng(0)" in text
    assert ".standard_normal(size=standard_normal.shape)" in text


def test_plain_derivatives_of_seeded_programs():
    check(lambda x: option(x, 50), 0.3, native=True)


def test_a_module_draws(tmp_path):
    path = tmp_path / "made.py"
    tl.export(option, (0.3, 10), path)
    scope: dict = {}
    exec(path.read_text(), scope)
    assert scope["option"](0.3, 10) == pytest.approx(option(0.3, 10), rel=1e-12)
