"""Star-unpacking, swaps, augmented targets, order of evaluation, f-strings and text."""

import pytest

from checking import check


def targets(x):
    a, (b, *c), *d = [x, (x * x, 2.0, x), 3.0, x * 5.0]
    [e, f] = d
    return a * b + c[0] * c[1] + e * f


def swaps(x):
    a, b, c = x, x * x, 2.0
    a, b = b, a
    a, b, c = c * a, a, b
    v = [x, 1.0, 3.0]
    v[0], v[2] = v[2], v[0]
    i = 0
    i, v[i] = 2, x * 7.0
    return a * b + c + v[0] * v[2] + i


def displays(x):
    a = [x, 2.0]
    b = (*a, *[x * x], x)
    c = [*b, *"ab"][:4]
    d = {**{"p": x}, "q": 2.0, **{"p": x * 3.0}}
    return sum(c) * b[2] + d["p"] * d["q"] + max(*b, 0.1) + len({*a, *b}) * x


def from_iterators(x):
    a, b = (v * v for v in (x, 2.0))
    (c,) = [x * 3.0]
    (d, e), f = {"k": x}.items().__iter__().__next__(), a
    return a * b + c + len(d) * e * f


def augmented(x):
    log = []

    def box():
        log.append("box")
        return values

    def index():
        log.append("index")
        return 1

    values = [x, x * x]
    box()[index()] *= x + 1.0
    a = b = values
    a[0] += 2.0
    a += [x]
    a = a + [0.0]
    y = x
    y **= 3
    y -= x
    y /= 2.0
    y //= -1.0
    print(log)
    return b[1] * b[2] + b[0] + y + len(a) * x


def order_of_evaluation(x):
    log = []

    def f(name, v):
        log.append(name)
        return v

    y = f("a", x) + f("b", x) * f("c", 2.0) - f("f", lambda *a, **k: a[0])(f("g", x), k=f("h", 1.0))
    d = {f("k1", "p"): f("v1", x), f("k2", "q"): f("v2", y)}
    print(log)
    return d["p"] * d["q"]


def wrong_count(x):
    a, b = [x, x, x]
    return a * b


def text(x):
    label = f"{x:.3f} {x!r} {'in ' + 'side':>8} {x * 2:{'8'}.2f}"
    print(label, "%.2f" % x, "{:.1f}".format(x), str(x)[:3], sep=";")  # noqa: UP031, UP032
    return x * len(label[:6]) + float(f"{x:.0f}") * x * 3.0


def chained_targets(x):
    a = b = c = x * x
    b += 1.0
    d = [0.0] * 2
    d[0] = e = d[1] = x * b
    return a * b * c + d[0] * d[1] * e


@pytest.mark.parametrize("x", [0.4, 1.3])
@pytest.mark.parametrize(
    "program",
    [
        targets,
        swaps,
        displays,
        from_iterators,
        augmented,
        order_of_evaluation,
        text,
        chained_targets,
    ],
)
def test_unpacking(program, x):
    check(program, x)


def test_wrong_number_of_values():
    check(wrong_count, 0.7)
