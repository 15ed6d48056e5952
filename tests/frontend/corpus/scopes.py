"""Names: closures, cells, globals, comprehensions, walrus, private names."""

# A corpus holds what people should not write.
# ruff: noqa
# fmt: off

from frontend.corpus.cases import case, say

COUNTER = 0
TABLE = {}
_k = "a global named as a helper"
_t1 = "a global named as a temporary"


@case()
def closures():
    def make(n):
        total = n

        def add(x, *, by=n):
            nonlocal total
            total += x * by
            return total

        def read():
            return total, n

        n += 1
        return add, read

    add, read = make(2)
    return add(1), add(2, by=5), read(), add.__kwdefaults__, add


@case()
def late_binding():
    fs = []
    for i in range(3):
        fs.append(lambda: i)
        fs.append(lambda i=i: i)
    gs = [lambda: j for j in range(3)]
    hs = [[lambda: (j, k) for j in range(2)] for k in range(2)]
    ks = {j: (lambda: j) for j in range(2)}
    ms = list((lambda: j) for j in range(3))
    return [f() for f in fs], [g() for g in gs], [[h() for h in row] for row in hs], ks[0](), [m() for m in ms]


@case()
def comprehensions():
    x, y = 10, "kept"
    a = [x for x in range(3)]
    b = {x: y for x, y in zip("ab", "cd")}
    c = {x % 2 for x in range(5)}
    d = [(x, z) for x in range(3) if x for z in range(x) if z != 1 if x != 5]
    e = [[x for x in range(x)] for x in range(3)]
    f = [x for x in [x for x in range(4) if x > 1]]
    g = {**{x: x for x in range(2)}, **{y: x}}
    h = [*(x for x in range(3)), *[x for x in range(2)]]
    i = [a for (a, *_), in [[(1, 2)], [(3,)]]]
    t = {}
    j = [0 for t["k"] in range(3)]
    return x, y, a, b, c, d, e, f, g, h, i, t, j


@case((3,), (0,))
def walrus(n):
    if (m := n * 2) > 3:
        print(m)
    out = [last := i for i in range(n)]
    total = 0
    partial = [total := total + v for v in range(n)]
    found = any((hit := v) > 1 for v in range(n))
    pairs = [(p := i, p * 2) for i in range(n) if (q := i) or True]
    lam = (lambda: (z := 3) + z)()
    while (n := n - 1) > 0:
        pass
    print(f"{(w := 5)} {w}", (y := 1, y))
    return m, out, total, partial, found, hit, lam, n, [last for _ in range(1)], pairs, p, q, w, y


@case()
def walrus_captured():
    def show():
        return seen

    any((seen := v) > 2 for v in range(5))
    first = show()
    [seen := "list" for _ in range(1)]
    return first, show(), seen


@case()
def global_names():
    global COUNTER, _fresh
    COUNTER += 1
    _fresh = [COUNTER, _k, _t1]
    def inner():
        global COUNTER
        COUNTER += 10
        return COUNTER
    inner()
    value = COUNTER, list(_fresh)
    del _fresh
    COUNTER = 0
    for COUNTER in range(2):
        pass
    with say("with", open("/dev/null")) as _fresh:
        pass
    import math as _fresh
    def _fresh(): return 1
    class _fresh: pass
    del _fresh
    COUNTER = 0
    try:
        _fresh
    except NameError as error:
        print(error)
    try:
        del _fresh
    except NameError as error:
        print(error)
    return value


@case()
def shadowed_builtins():
    len = lambda x: "mine"
    list = str
    print = say
    range, BaseException, slice = 1, 2, 3
    print("x")
    try:
        raise KeyError(len([1]))
    except KeyError as error:
        return error.args, list(3), range, [4][slice - 3:]


@case((True,), (False,))
def unbound(flag):
    def inner():
        return late
    try:
        inner()
    except NameError as error:
        print(type(error), error.args, error.name)
    if flag:
        late = 3
    try:
        return late, inner()
    except UnboundLocalError as error:
        return type(error), error.args


@case()
def deleting():
    x = [1, 2]
    y = x
    del x[0], x
    def inner():
        return z
    z = 1
    del z
    out = []
    for f in (lambda: x, inner):
        try:
            f()
        except NameError as error:
            out.append((type(error), error.args))
    try:
        del z
    except NameError as error:
        out.append((type(error), error.args))
    a = b = c = 1
    del (a, [b, c])
    try:
        b
    except NameError as error:
        out.append(error.args)
    try:
        del b
    except NameError as error:
        out.append(error.args)
    d = 1
    del d
    d = 2
    return y, out, d


@case()
def nonlocal_deep():
    x = 0
    def a():
        y = 0
        def b():
            nonlocal x, y
            def c():
                nonlocal x
                x += 100
                return x
            x += 1
            y += c()
            return y
        return b() + b()
    return a(), x


@case()
def captured_parameters():
    def f(a, /, b, *args, c=3, **kw):
        g = lambda: (a, b, args, c, kw)
        a += 1
        args = args + (9,)
        return g(), locals_of(a=a, b=b)
    def locals_of(**kw):
        return kw
    out = [f(1, 2), f(1, 2, 3, 4, c=5, d=6), f(1, b=2)]
    for bad in (lambda: f(), lambda: f(1), lambda: f(a=1, b=2), lambda: f(1, 2, b=3), lambda: locals_of(1)):
        try:
            bad()
        except TypeError as error:
            out.append(error.args)
    return out


class Private:
    __hidden = 1

    def __init__(self, __value=5):
        self.__value = __value
        __local = self.__value
        self.f = lambda: (__local, self.__hidden)

    @staticmethod
    def __secret(__x):
        return __x

    def run(self, *, __kw=1):
        __seen = [__i for __i in range(3)]
        def inner():
            return __seen, self.__secret(__kw)
        class Inner:
            __deep = 7
            def get(self):
                return self.__deep
        for __j in range(2):
            pass
        try:
            raise ValueError
        except ValueError as __error:
            kind = type(__error)
        import math as __math
        self.__value += 1
        del self.__value
        return inner(), Inner().get(), __j, kind, __math.pi, self.f(), list(vars(self)), list(__k for __k in "ab")

    def keyword(self):
        return self.run(_Private__kw=3)

    lam = lambda self: self.__hidden


from tapeless.backends.python.plain import to_function  # noqa: E402


@case()
def private_names():
    class Again(Private):
        pass
    for name in ("__init__", "run", "keyword", "lam"):
        setattr(Again, name, to_function(Private.__dict__[name]))
    a = Again()
    return a.run(), Again(2).keyword(), a.lam()


@case((1,))
def temporaries_named_by_the_user(_t1):
    _t2 = _t1
    _hit3 = _t1, (_t1 := 5), _t2
    _caught4 = [(_t2, (_t2 := 6)) for _ in range(2)]
    _k = [_t1, _t2]
    _tl_load = 3
    return _t1, _t2, _hit3, _caught4, _k, _tl_load


@case()
def comprehension_over_global_name():
    total = [say for say in range(3)]
    return total, say("global", len([COUNTER for COUNTER in range(2)])), COUNTER


@case()
def recursion():
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)
    def even(n):
        return True if n == 0 else odd(n - 1)
    def odd(n):
        return False if n == 0 else even(n - 1)
    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)
    return fib(12), even(50), depth(300)


@case()
def looking_at_the_frame():
    a, b = 1, 2
    if a > 5:
        c = 3
    def inner():
        return b
    here = locals()
    return sorted(here.items(), key=lambda p: p[0])[:2], sorted(vars()), dir(), "COUNTER" in globals(), eval("a + 1"), [a for a in [3]]


@case()
def exec_and_eval():
    x = 3
    space = {"x": 4}
    exec("y = x + 1", space)
    return space["y"], eval("x * 2", {"x": x}), eval("x + 1")


def global_recursion(n):
    return n if n < 2 else global_recursion(n - 1) + global_recursion(n - 2)


case((7,))(global_recursion)
