"""Loops, branches and their exits."""

# A corpus holds what people should not write.
# ruff: noqa
# fmt: off

from frontend.corpus.cases import case, say


@case((0,), (3,), (10,))
def for_else(n):
    out = []
    for i in range(n):
        if i == 5:
            break
        if i % 2:
            continue
        out.append(i)
    else:
        out.append("else")
    return out, i if n else None


@case((0,), (3,), (10,))
def while_else(n):
    out = []
    while n > 0:
        n -= 1
        if n == 7:
            break
        if n % 2:
            continue
        out.append(n)
    else:
        out.append("else")
    return out


@case()
def break_in_else():
    out = []
    for i in range(5):
        while i % 2:
            i -= 1
        else:
            if i == 4:
                break
            if i == 2:
                continue
        for _ in ():
            pass
        else:
            out.append(("x", i))
            if i > 2:
                break
        out.append(i)
    else:
        out.append("never")
    return out


@case()
def while_with_effects():
    n = 0
    while say("test", n < 3) and (m := n * 2) < 10:
        n += 1
    while (n := n - 1) > 0:
        print(n, m)
    while True:
        n += 1
        if n > 4:
            break
    while 1:
        return n


@case((1,), (2,), (3,), (4,))
def chain(n):
    if n == 1:
        r = "one"
    elif n == 2:
        r = "two"
    elif n == 3:
        pass
    else:
        return "many"
    return r


@case()
def targets():
    out = []
    for (a, b), *c in [((1, 2), 3, 4), ("xy",)]:
        out.append((a, b, c))
    for [d, e] in ["ab", "cd"]:
        out.append(d + e)
    data = [0] * 3
    for data[0], data[-1] in zip(range(3), range(5, 8), strict=True):
        out.append(list(data))
    for a in a, b, *c:
        out.append(a)
    return out, a, d


@case()
def changing_the_iterable():
    items = [1, 2, 3]
    seen = []
    for x in items:
        seen.append(x)
        if x < 3:
            items.append(x + 2)
    table = {"a": 1}
    for k in table:
        table["b"] = 2
    return seen


@case((5,), (None,), ("ab",), (3.5,))
def not_iterable(x):
    for i in x:
        print(i)
    a, b = x
    return a, b


@case(([],), ([1],), ([1, 2],), ([1, 2, 3],))
def unpacking_counts(x):
    first, second, *rest = x
    a, b = x
    return first, second, rest, a, b


@case()
def dead_code():
    if False:

        def never():
            return 1

    if 0:
        x = lambda: 3
    while False:
        y = [i for i in never()]
    if True:
        z = 1
    else:
        z = lambda: 2
    if not True:
        z = (i for i in range(3))
    for i in range(3):
        continue
        print(i)
    else:
        w = 2
    return z, w, i
    return lambda: 1


@case((3,), (0,), (1,))
def ends_everywhere(n):
    if n > 2:
        return 1
    elif n == 0:
        raise KeyError(n)
    else:
        return 2

    def after():
        return n

    return after


@case()
def deep():
    out = 0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                if a:
                    if b:
                        while c:
                            c -= 1
                            for _ in range(2):
                                if out > 3:
                                    break
                                out += 1
                            else:
                                continue
                            break
                        else:
                            out += 10
    return out


@case((0,), (1,), (2,))
def ternaries(n):
    return ("a" if n else "b") + ("c" if n > 1 else "d" if n == 1 else "e"), [] or n, n and [], not n


@case(
    (3, 2),
)
def augmented(n, m):
    a = n
    a += m
    a -= 1
    a *= 5
    a /= 2
    a //= 1
    a **= 2
    a %= 7
    b = n
    b <<= m
    b >>= 1
    b |= 8
    b ^= 3
    b &= 15
    c = [n]
    d = c
    c += [m]
    c *= 2
    e = {"k": [1]}
    e["k"] += [2]
    t = ([1],)
    try:
        t[0] += [2]
    except TypeError as error:
        print(error.args)
    s = "a"
    s += "b"
    return a, b, c, d is c, e, t, s


@case(
    (1, 0),
)
def failing_operations(a, b):
    out = []
    for f in (
        lambda: a / b, lambda: a + "x", lambda: -"x", lambda: a[0], lambda: a.b, lambda: a(), lambda: a < "x",
        lambda: "x" in a, lambda: [1][5], lambda: {}["k"], lambda: a @ b, lambda: f"{a:zzz}", lambda: [*a],
        lambda: {**a}, lambda: {[]: 1}, lambda: print(*a), lambda: print(**a), lambda: dict(a=1, **{"a": 2}),
        lambda: f(1, 2), lambda: ~1.5, lambda: 1 << -1, lambda: slice(1)[0],
    ):  # fmt: skip
        try:
            f()
        except Exception as error:
            out.append((type(error), error.args))
    return out


@case()
def exact_constants():
    return (
        1,
        1.0,
        True,
        -0.0,
        0.0,
        1e400,
        -1e400,
        3j,
        -3j,
        b"x\0",
        "é\n'\"",
        ...,
        None,
        10**30,
        1_000,
        (1, (2.0,)),
        -(5),
        +3,
    )


@case()
def zero_loops():
    for _ in []:
        x = 1
    try:
        return x
    except UnboundLocalError as error:
        print(error.args)
    del _undefined_name
