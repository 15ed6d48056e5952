"""Functions, classes, decorators, imports, text."""

# A corpus holds what people should not write.
# ruff: noqa
# fmt: off

import functools
from dataclasses import dataclass, field

from frontend.corpus.cases import Noisy, case, say


@case()
def signatures():
    def a(): pass
    def b(x, y=2, /, z=3, *, w, v=5): return x, y, z, w, v
    def c(*args, **kw): return args, kw
    def d(*, k): return k
    def e(x, /, **x_): return x, x_
    f = lambda *a, k=1, **kw: (a, k, kw)
    out = [a(), b(1, w=2), b(1, 2, z=4, w=5, v=6), c(1, *[2, 3], k=4, **{"m": 5}), d(k=1), e(1, x=2), f(1, k=2, z=3)]
    for bad in (lambda: b(1), lambda: b(), lambda: d(1), lambda: a(1), lambda: b(1, w=2, q=3), lambda: b(x=1, w=2), lambda: c(**{1: 2}), lambda: d(k=1, **{"k": 2})):
        try:
            bad()
        except TypeError as error:
            out.append(error.args)
    return out


@case()
def defaults_are_made_once():
    def f(x, acc=[]):
        acc.append(x)
        return acc
    def g(x, *, acc={}):
        acc[x] = x
        return acc
    f(1)
    fs = [lambda v=v: v for v in range(3)]
    return f(2), g(1), g(2), f.__defaults__, g.__kwdefaults__, [h() for h in fs]


@case()
def decorators():
    def twice(f):
        @functools.wraps(f)
        def wrapper(*args, **kw):
            return f(*args, **kw), f(*args, **kw)
        return wrapper
    def named(name, *, default=[1]):
        def wrap(f):
            f.name = name, default
            return f
        return wrap
    @twice
    @named("n", default=2)
    def f(x):
        "The doc."
        return x
    @functools.lru_cache(maxsize=None)
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)
    @functools.singledispatch
    def kind(x): return "any"
    @kind.register
    def _(x: int): return "int"
    @kind.register
    def _(x: "str"): return "str"
    @(lambda g: g)
    def plain(): return 1
    return f(3), f, f.name, fib(30), fib.cache_info(), kind(1), kind("s"), kind(2.0), plain()


@case()
def docs_and_names():
    def documented():
        """A doc."""
        return 1
    def constant():
        "only a doc"
    def none():
        return "not a doc"
    class C:
        """Class doc."""
        def m(self):
            'm'
            def inner(): pass
            return inner
    return documented, constant, none, C.__doc__, C.m, C().m(), C, (lambda: 0), constant()


@case()
def classes():
    base = 10
    class A:
        x = base
        base = 20
        y = base
        z = [base for _ in range(2)]
        def __init__(self, v=base):
            self.v = v
        def get(self):
            return self.v, base, __class__.__name__
        @property
        def double(self):
            return self.v * 2
        @double.setter
        def double(self, value):
            self.v = value / 2
        @classmethod
        def make(cls, v):
            return cls(v)
        @staticmethod
        def add(a, b):
            return a + b
    class B(A):
        def __init__(self, *args):
            super().__init__(*args)
            self.w = super().get()
        def get(self):
            return "b", super().get(), super(B, self).get()
        @classmethod
        def make(cls, v):
            return super().make(v + 1)
    b = B.make(3)
    b.double = 8
    return A.x, A.y, A.z, b.get(), b.w, b.double, A.add(1, 2), B.__mro__, B.__qualname__


@case()
def class_forms():
    class Meta(type):
        def __new__(meta, name, bases, space, **kw):
            print("new", name, bases, sorted(kw.items()))
            return super().__new__(meta, name, bases, space)
        def __init__(cls, name, bases, space, **kw):
            super().__init__(name, bases, space)
        @classmethod
        def __prepare__(meta, name, bases, **kw):
            print("prepare", name)
            return {"prepared": True}
    class A(metaclass=Meta, flag=1): pass
    bases = (A,)
    class B(*bases, **{"other": 2}):
        prepared
        kept = prepared
    class C:
        def __init_subclass__(cls, **kw): print("sub", cls.__name__, kw)
        def __class_getitem__(cls, item): return item
        def __set_name__(self, owner, name): print("name", name)
    class D(C, k=1):
        attr = C()
    @dataclass
    class E:
        x: int
        y: list = field(default_factory=list)
        def total(self): return self.x + sum(self.y)
    @dataclass(frozen=True, order=True)
    class F:
        a: float = 1.0
    return B.kept, C[3], E(1, [2, 3]).total(), E(1), F() < F(2.0), F()


@case()
def methods_and_operators():
    class V:
        def __init__(self, *c): self.c = c
        def __add__(self, o): return V(*(a + b for a, b in zip(self.c, o.c)))
        def __radd__(self, o): return V(*(o + a for a in self.c))
        def __iadd__(self, o): self.c = (self + o).c; return self
        def __getitem__(self, i): return self.c[i]
        def __len__(self): return len(self.c)
        def __iter__(self): return iter(self.c)
        def __call__(self, k): return V(*(k * a for a in self))
        def __eq__(self, o): return self.c == o.c
        def __hash__(self): return 1
        def __contains__(self, v): return v in self.c
        def __bool__(self): return any(self.c)
        def __repr__(self): return f"V{self.c}"
        def __format__(self, spec): return f"{self!r}|{spec}"
    v, w = V(1, 2), V(3, 4)
    u = v
    u += w
    return v, u is v, v + w, 1 + w, v[0], v[-1:], len(v), v(3), v == w, 4 in w, bool(V(0)), f"{v:abc}", f"{v}", [*v], V(*v)


@case()
def imports():
    import math
    import os.path
    import os.path as p
    import collections.abc, json
    from math import pi, sin as s
    from collections import OrderedDict as OD, deque
    from os import path
    out = []
    for attempt in (1, 2, 3):
        try:
            if attempt == 1:
                import no_such_module
            elif attempt == 2:
                from math import no_such_name
            else:
                import os.no_such
        except ImportError as error:
            out.append((type(error), error.args))
    if out:
        from functools import reduce
    def inner():
        return math.tau, s(0)
    return math.floor(2.5), os.path.join("a", "b"), p is os.path, pi, OD, deque, path is p, out, reduce, inner(), json.dumps([1]), collections.abc.Sized.__name__


@case()
def relative_imports():
    from . import cases
    from .cases import say as other
    from .. import corpus as here
    import frontend.corpus.cases
    return cases.__name__, other is say, here.__name__, frontend.__name__


@case(("text", 3.14159, 7))
def text(s, x, n):
    w = 12
    return (
        f"{s}", f"{s!r:>{w}}|{x:.{n - 5}f}|{x:{w}.{2}}", f"{{}}{n}{{{s}}}", f"{x=}{x = :.2f}{s!a}", f"{n:#x}{n:08b}",
        f"{'nested ' + f'{s!r}'}", f"{ {'a': 1}['a'] if False else s}", f"a" "b" f"{n}", f"", f"only", f"{s:{'>'}{w}}",
        "%s %d" % (s, n), "{} {k}".format(s, k=n), f"{lambda_(3)}" if (lambda_ := str) else 0, f'''{
            s
        }''', f"{n!s:^5}{True}{None}{[1, 'q']}{ {1: 2}[1] }", rf"\n{n}", f"é{s}\n",
    )


@case()
def lambdas_on_one_line():
    f, g, h = lambda: 1, lambda: 2, lambda: 1
    t = (lambda x: x + 1, lambda x: x + 1, lambda x: (lambda x: x * 2)(x) + 1, lambda: (lambda: (lambda: 7))()())
    i, j = (lambda a: a if a else -a), (lambda a: a and (a or 1))
    ks = [(lambda: x, lambda: -x) for x in range(2)]
    gs = (sum(v for v in range(3)), sum(v for v in range(4)), sum(v for v in (u for u in range(5)))) + ((lambda: 0)(),)
    return f(), g(), h(), [t[k](3) for k in range(3)], t[3](), i(0), j(5), [[k() for k in p] for p in ks], gs


@case()
def functools_and_builtins():
    add = functools.partial(lambda a, b, c=3: (a, b, c), 1, c=4)
    return (
        add(2), functools.reduce(lambda a, b: a * b, range(1, 6)), sorted([3, 1, 2], key=lambda v: -v),
        list(map(lambda a, b: a + b, [1, 2], [3, 4])), list(filter(None, [0, 1])), max([1, 5, 3], key=lambda v: v % 5),
        min(3, 1), any(v > 1 for v in [1, 2]), all([]), sum([[1], [2]], []), dict(zip("ab", [1, 2])), list(enumerate("ab", 1)),
        getattr(3, "real"), isinstance(True, int), callable(len), next(iter([]), "default"), [*reversed([1, 2])], divmod(7, 3), pow(2, 5, 7),
    )


@case()
def super_forms():
    class A:
        def f(self): return "A"
        def g(self): return "g"
    class B(A):
        f = lambda self: super().f() + "B"
        def g(this):
            def inner(this):
                return super().g() + "inner"
            return super().g() + inner(this)
        def h(self, x=1):
            self = self
            return __class__, super().f()
        def k(self):
            return [super(B, self).f() for _ in range(2)]
        @property
        def p(self): return super().f()
    b = B()
    out = b.f(), b.g(), b.h(), b.k(), b.p
    def outside():
        return super().f()
    for f in (outside, lambda: super(B).f):
        try:
            f()
        except Exception as error:
            out += (type(error), error.args)
    return out


@case()
def async_inside():
    import asyncio
    async def f(x):
        await asyncio.sleep(0)
        return x
    async def g():
        return [await f(i) for i in range(3)]
    return asyncio.run(g()), f


@case()
def stars():
    a, *b = range(4)
    *c, d = "xyz"
    e, (f, *g), *h = 1, [2, 3, 4], 5
    *i, = (1, 2)
    [*j] = ()
    print(*b, *c, sep="-", **{"end": "!\n"})
    return a, b, c, d, e, f, g, h, i, j, [*b, *c], (*b,), {*b, 9}, {**{"a": 1}, "b": 2, **dict(a=3)}
