"""deque, OrderedDict, defaultdict and Counter in compiled programs."""

from collections import Counter, OrderedDict, defaultdict, deque

import numpy as np
import pytest

import tapeless as tl

from .orders import check_orders, check_other_arguments
from .staged import outcome, same

X = np.array([0.7, 1.3, 0.4, 2.1])


def window(x):
    last, total = deque(maxlen=3), 0.0
    for i in range(8):
        last.append(x[i % len(x)] * (i + 1))
        total = total + sum(last) ** 2 / len(last)
    return total * last[-1]


def ends(x):
    d = deque([x[0], x[1]])
    d.appendleft(x[2] ** 2)
    d.rotate(1)
    d.extendleft([x[3], 1.0])
    d.insert(1, x[0] * x[3])
    a, b = d.popleft(), d.pop()
    e = d.copy()
    e[0] = 7.0
    return a * b + d[0] ** 3 + (d + e)[-1] * len(d + e) + deque([3, 1]).index(1) + (d == e) + e.count(7.0)


def first_in_first_out(x):
    d = deque()
    for i in range(len(x)):
        d.append(np.sin(x[i]))
    total = 0.0
    while d:
        total = total * 0.9 + d.popleft() ** 2
    return total


def turning(x):
    d = deque()
    for v in x:
        d.append(v * v)
    total = 0.0
    for k in range(len(x) * 2):
        total += d[0] * k
        d.rotate(1 if k % 3 else -1)
    return total


def breadth_first(x):
    graph = {0: [1, 2], 1: [3], 2: [3], 3: []}
    reached = {0: x[0]}
    queue = deque([0])
    while queue:
        node = queue.popleft()
        for other in graph[node]:
            if other not in reached:
                reached[other] = reached[node] * x[other] + 1
                queue.append(other)
    return reached[3]


def delayed(x):
    d = deque([x, x * 2], maxlen=2)
    for _ in range(3):
        d.append(d[0] * 0.5 + np.sin(d[1]))
    return (d[0] * d[1]).sum() + np.mean(d)


def sums(x):
    d = defaultdict(float)
    for i, k in enumerate("abca"):
        d[k] += x[i] ** 2
    return d["a"] * d["b"] + d["c"] + d.get("q", 2.0) + len(d)


def groups(x):
    d = defaultdict(lambda: defaultdict(list))
    for i, k in enumerate("abca"):
        d[k][i % 2].append(x[i] ** 2)
    return sum(v * i for row in d.values() for part in row.values() for i, v in enumerate(part, 1))


def summed_in_a_loop(x):
    d = defaultdict(float)
    for v in x:
        d["squares"] += v * v
        d["cubes"] += v**3
    return d["squares"] * d["cubes"] * len(d)


def ordered(x):
    d = OrderedDict(a=x[0])
    d["b"] = x[1] * x[2]
    d.move_to_end("a")
    total = 1.0
    for v in d.values():
        total = total * x[3] + v**2
    k, v = d.popitem(last=False)
    return total + v * (k == "b") + (OrderedDict(a=1, b=2) == OrderedDict(b=2, a=1))


def counted(x):
    c = Counter("abcab")
    c.update({"a": 3, "w": 1})
    c.subtract(["c"])
    total = sum(n * x[i % 4] ** 2 for i, n in enumerate(c.values()))
    return total + c["z"] + c.total() * x[1] + (c + Counter(a=2))["a"] * x[0] + len(c)


PROGRAMS = [window, ends, first_in_first_out, turning, breadth_first, delayed, sums, groups, summed_in_a_loop,
            ordered, counted]  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_containers(f):
    check_orders(f, X)
    check_other_arguments(f, X, -X, X[::-1].copy())


def test_lengths_are_free():
    fast = tl.jit(first_in_first_out)
    fast(np.linspace(0.1, 0.9, 7))
    versions = len(fast.entries)
    for n in (9, 5, 30):
        x = np.linspace(0.1, 0.9, n)
        assert fast(x) == pytest.approx(first_in_first_out(x), rel=1e-14)
    assert len(fast.entries) == versions


def returned(x):
    d = defaultdict(list)
    d["a"].append(x[0])
    q = deque(x * 2, maxlen=3)
    return d, q, q, OrderedDict(b=x[0], a=x[1]), Counter("aab"), deque([x[0]]), q.maxlen


def emptied(x):
    return deque([]).popleft() * x


def beyond(x):
    return deque([1.0])[3] * x


def full(x):
    d = deque([1.0], 1)
    d.insert(0, x)
    return d


def elsewhere(x):
    return deque([1.0, 2.0]).index(3.0) * x


def absent(x):
    return OrderedDict()["k"] * x


def without_factory(x):
    return defaultdict(None, a=1)["k"] * x


@pytest.mark.parametrize("f", [returned, emptied, beyond, elsewhere, full, absent, without_factory])
def test_results_and_exceptions(f):
    want, got = outcome(f, (X,)), outcome(tl.jit(f), (X,))
    assert want[1] == got[1]
    assert same(want[0], got[0])
    if f is returned:
        assert got[0][1] is got[0][2]
        assert got[0][1].maxlen == 3
        assert got[0][0].default_factory is list


def moved(d):
    d["n"] = d["a"] * 2
    d.move_to_end("a")
    return 1.0


def filled(d):
    d["a"] *= 2
    d["q"] += 1.5
    return d["z"]


@pytest.mark.parametrize(
    ("f", "d"),
    [(moved, OrderedDict(a=1.5)), (filled, defaultdict(float, a=1.5)), (filled, Counter(a=2, q=1))],
)
def test_arguments(f, d):
    mine, fast = d.copy(), tl.jit(f)
    assert same(f(d), fast(mine))
    assert same(d, mine)


def test_derivative_by_a_dict():
    def f(d):
        return (d["a"] ** 2).sum() * d["b"]

    d = OrderedDict(a=X, b=2.0)
    assert same(tl.jit(tl.grad(f))(d), tl.grad(f)(d))


# keys that a loop gives, which may have no iteration


def of_no_key(x, n):
    d = {}
    for i in range(n):
        d["a"] = x * i
    return len(d) + d.get("a", 7.0) + ("a" in d)


def asked(x, n):
    d, total = {}, 0.0
    for _ in range(n):
        if "a" not in d:
            d["a"] = x
        total += d["a"]
    return total


def taken(x, n):
    d, total = {"a": x}, 0.0
    for _ in range(n):
        total += d.pop("a", 1.0)
    return total


def while_counting(x, n):
    d, total, i = {}, 0.0, 0
    while i < n:
        total += len(d)
        d["k"] = x * i
        i += 1
    return total + d.get("k", 3.0)


def with_break(x, n):
    d = {}
    for i in range(n):
        if i > 4:
            break
        d["k"] = x * i
    return len(d) + x


def added(x, n):
    d = {"b": x}
    for i in range(n):
        d["a"] = x * i
    return sum(d.values())


@pytest.mark.parametrize("f", [of_no_key, asked, taken, while_counting, with_break, added])
def test_keys_that_a_loop_gives(f):
    fast, slope = tl.jit(f), tl.jit(tl.grad(f))
    for n in (3, 0, 1, 6):
        assert same(fast(1.5, n), f(1.5, n))
        assert same(slope(1.5, n), tl.grad(f)(1.5, n))


class Defaults(dict):
    def __init__(self, **items):
        super().__init__(items)
        self["extra"] = 1.0

    def get(self, key, default=None):
        return 5.0

    def __missing__(self, key):
        return 2.0


def of_a_subclass(x):
    d = Defaults(a=x[0])
    return d["a"] * d["extra"] * d.get("a") * d["none"]


def test_classes_of_the_program():
    check_orders(of_a_subclass, X)


def test_what_is_refused():
    def on_paths(x):
        d = defaultdict(float)
        d["a" if x > 0 else "b"] += x
        return d["a"]

    with pytest.raises(tl.TapelessError, match="keys on each path|must be known|give it all keys"):
        tl.jit(on_paths)(1.0)

    def changing(x):
        d = deque([x, x])
        for v in d:
            d.append(v)
        return d[0]

    with pytest.raises(tl.TapelessError, match="a deque changes its length"):
        tl.jit(changing)(1.0)
