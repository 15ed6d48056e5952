"""In which order things happen."""

# A corpus holds what people should not write.
# ruff: noqa
# fmt: off

from __future__ import annotations

from typing import Any

from frontend.corpus.cases import Noisy, case, say


def two() -> tuple[Noisy, Noisy]:
    return Noisy("a"), Noisy("b", 1)


@case()
def operators():
    a, b = two()
    return (a + b) * say("mid", 3) - -a @ b / say("end", 2)


@case()
def conditions():
    a, b = two()
    if a and b:
        print("one")
    elif b and a:
        print("two")
    elif a or b:
        print("three")
    if not a and not (b and a):
        print("four")
    while b and a:
        print("never")
    while a or b:
        print("five")
        break
    x = a and b
    y = a or b
    z = b and a or b
    w = 1 if a or b else 2
    assert a or b, say("not", 1)
    return x, y, z, w, [i for i in range(2) if b and a or b]


@case((0,), (1,))
def boolean_operators_many(n):
    a = Noisy("a", n)
    if a and a and (a or a) and not a:
        return 1
    if a or a or (a and a):
        return 2
    return bool(a and (a or a)), (a and 3) or 4, not (a and a)


@case()
def calls():
    a, b = two()
    a(
        say("x", 1),
        *say("star", Noisy("s")),
        say("y", 2),
        k=say("k", 3),
        **say("map", Noisy("m")),
        z=say("z", 4),
    )
    a.method(b, 3)(say("late", 1))
    f = say
    return f((f := print) and "name")


@case()
def displays():
    a, b = two()
    return (
        [say("1", 1), *a, say("2", 2), *b],
        (say("1", 1), *a, say("2", 2)),
        {say("1", 1), *a, say("2", 2)},
        {say("k", 1): say("v", 2), **say("m", {"q": 1}), say("k2", 3): say("v2", 4)},
        {**a, "x": say("x", 1)},
    )


@case()
def stores():
    a, b = two()
    a.x = say("value", 1)
    a[say("index", 0)] = say("value", 1)
    a.x, b[say("i", 1)], (a.y, b.z) = say("values", (1, 2, (3, 4)))
    a.x = b.y = say("both", 1)
    say("target", a)[say("key", 1)] = say("v", 1)
    del a.x, b[say("j", 2)], a.y
    a.x += say("inc", 1)
    a[say("index", 0)] += say("inc", 2)
    say("obj", a).attr *= say("inc", 2)
    a[say("lo", 1) : say("hi", 2), say("other", 3)] = 4
    for a.loop in range(2):
        pass
    for b[say("k", 1)], a.q in [(1, 2)]:
        pass


@case()
def comparisons():
    a, b = two()
    return (
        a < say("m", b) <= say("l", a),
        b < say("m", b) <= say("l", a) < say("z", a),
        say("x", 1) in say("c", b),
        say("x", 1) not in say("c", b) != a,
        a is not b,
    )


@case()
def format_order():
    a, b = two()
    items = [1]
    return (
        f"{a}{items.append(2)}{b:{say('spec', '>3')}}",
        f"{items}{items.append(3)}{items}",
        f"{a!r}{a.x}{b!s:x}{a:{b}}{a=}",
    )


@case()
def star_consumption():
    def numbers(name):
        for i in range(2):
            print(name, i)
            yield i

    log = []
    first = [*numbers("a"), say("between", 5), *numbers("b")]
    second = (*numbers("a"), log.append(1))
    third = print(*numbers("c"), say("after"), *numbers("d"), sep=say("sep", "-"))
    fourth = {**dict(a=1), **say("m", {"b": 2}), "c": say("last", 3)}
    return first, second, third, fourth


@case()
def rebinding_in_arguments():
    x = 1
    pair = (x, (x := 2), x)
    total = x + (x := 10) + x
    x = 5
    chained = 1 < x < (x := 3) < x
    data = [0, 1, 2, 3, 4]
    i = 1
    part = data[i : (i := 4)]
    data[i] = (i := 0)
    name = "a"
    text = f"{name}{(name := 'b')}{name}"
    table = {x: (x := 7), x: (x := 8)}
    x += (x := 100)
    y = data
    y[(y := [1, 2])[0]] = y
    both = x if (x := 0) else x
    return pair, total, chained, part, data, text, table, x, y, both, i


@case()
def multiple_targets():
    y = [1, 2]
    (x, y) = z = y
    a = b = c = [0]
    a.append(1)
    i = 0
    i, data = 1, [0, 0]
    i, data[i] = 0, 5
    data[i], i = 7, 1
    p = q, r = 1, 2
    [s, *t] = u, *v = "hello"
    return x, y, z, a, b, c, i, data, p, q, r, s, t, u, v


@case()
def swap():
    a, b, c = 1, 2, 3
    a, b = b, a
    a, b, c = c, a, b
    (a, b), c = (b, c), a
    data = [1, 2, 3]
    data[0], data[2] = data[2], data[0]
    return a, b, c, data


@case((1,), (0,))
def undefined_is_read_in_time(n):
    if n:
        x = 1
    return say("before", 1) + x


@case((1,), (0,))
def names_as_statements(n):
    try:
        if n:
            x = 1
        x
    except NameError as error:
        print(error.args)
    try:
        _no_such_global
    except NameError as error:
        print(error.args)
    Noisy("p").attribute
    return n


@case()
def with_order():
    with Noisy("a", 1) as a, Noisy("b") as a.b, Noisy(say("c", "c")):
        print("inside")
    with Noisy("d", 1):
        raise ValueError(1)
    return a


@case()
def annotated_targets():
    a, _ = two()
    x: int = say("x", 1)
    y: say("annotation")
    a.b: int = say("value", 2)
    a[say("index", 1)]: int = say("value", 3)
    say("obj", a).c: int
    say("obj", a)[say("i", 2)]: int
    (z): int = 3
    try:
        y
    except UnboundLocalError as error:
        print(error.args)
    return x, z


@case()
def decorator_order():
    def deco(name):
        print("make", name)
        return lambda f: (print("apply", name), f)[1]

    @deco("one")
    @deco("two")
    def f(a=say("default", 1), *, b=say("kw", 2)) -> say("returns", int):
        return a, b

    @deco("class")
    class C(say("base", object), metaclass=say("meta", type)):
        print("body")

    return f(), f, C


@case()
def subscripts():
    a, _ = two()
    a[1:2], a[::3], a[:, 1], a[..., None], a[()], a[1, *say("star", (2, 3))]
    a[1:2] = 3
    a[1:2] += 3
    del a[1:2, ::2]
    return [1, 2, 3, 4][-3:-1], "abc"[::-1], (1, 2, 3)[True]


@case()
def nested_conditional():
    a: Any = Noisy("a", 0)
    b: Any = Noisy("b", 1)
    return (say("p", 1) if a else say("q", 2) if b else say("r", 3)), (a if b else b) + (b if a else a)
