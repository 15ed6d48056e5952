"""Lists, tuples, dicts, sets, deques, heaps: every operation that moves or stores active values."""

import bisect
import copy
import heapq
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque

import numpy as np
import pytest

from checking import check


def list_methods(x):
    a = [x, 2.0]
    a.append(x * x)
    a.insert(1, x * 3.0)
    a.extend([x, 5.0])
    a += [x * 7.0]
    y = a.pop() * a.pop(0) + a.pop(-2)
    a.remove(5.0)
    a.reverse()
    b = a.copy()
    a[0] *= 4.0
    a.clear()
    return y + sum(v * (k + 1.0) for k, v in enumerate(b)) + b.count(2.0) * x + b.index(2.0)


def list_slices(x):
    a = [x * k for k in range(6)]
    a[1:3] = [x * x, 2.0, x]
    a[::3] = [1.0, x, x + 2.0]
    del a[2:4]
    b = a[::-1][:3]
    b[0] = 9.0
    a[len(a) :] = [x]
    a[:0] = (x, x * x)
    return sum(v * w for v, w in zip(a, range(1, 20), strict=False)) + sum(b)


def list_operators(x):
    a = [x, 2.0] * 2 + [x * x]
    a *= 2
    y = a[0] * a[7] + (3.0 in a) * x
    nested = [[x]] * 3
    nested[0][0] *= 2.0
    nested[1].append(x)
    return y + sum(row[0] * row[1] for row in nested) + ([x, 2.0] < [x, 3.0]) * x + ([x] == [x]) * x


def list_sort(x):
    a = [x, 0.5, x * x, 2.0 * x]
    a.sort()
    y = a[0] * 3.0 + a[3]
    a.sort(key=lambda v: (v - 1.0) ** 2, reverse=True)
    pairs = [(v, k) for k, v in enumerate(a)]
    pairs.sort()
    return y * a[0] + pairs[0][0] * pairs[0][1]


def tuples(x):
    t = (x, x * x) + (2.0,) * 2
    a, b = t[:2]
    u = (t, (a,))
    t += (x * 3.0,)
    return u[0][1] * t[-1] + u[1][0] + len(t) + t.count(2.0) * b + max(t)


def dict_methods(x):
    d = {"a": x, "b": 2.0}
    d["c"] = d["a"] * d.get("b") + d.get("z", x * x)
    d.setdefault("e", []).append(x * 3.0)
    d.setdefault("a", 0.0)
    d.update({"b": x**3}, f=x)
    d |= {"g": d["f"] * 2.0}
    e = d | {"a": 1.0}
    y = d.pop("g") * d.pop("none", x)
    k, v = d.popitem()
    d["a"] += v
    del d["b"]
    return y + d["a"] * d["c"] + d["e"][0] + e["b"] * e["a"] + len(k) * x


def dict_views(x):
    d = {"a": x, "b": x * x, "c": 3.0}
    total = 0.0
    for k in d:
        total = total * d[k] + 1.0
    for k, v in d.items():
        if k != "b":
            d[k] = v * x
    values = d.values()
    d["a"] *= 2.0
    keys = sorted(d, key=d.get)
    return total * sum(values) + d[keys[0]] + {**d, "b": x}["b"] + dict(a=x)["a"] + list(d.items())[2][1]


def dict_with_active_keys(x):
    d = {x: 1.0, (x, 2): x * x}
    d[x] += x
    return d[x] * d[x, 2] + sum(k if isinstance(k, float) else k[0] for k in d)


def nested_containers(x):
    table = {"rows": [{"v": x, "w": [x, 1.0]}, {"v": 2.0, "w": [3.0, x]}]}
    for row in table["rows"]:
        row["v"] *= row["w"][0]
        row["w"][1] = row["v"] + row["w"][1]
        row["self"] = row["w"]
    table["rows"][0]["self"][0] = x**3
    return sum(row["v"] * row["w"][0] * row["w"][1] for row in table["rows"])


def sets(x):
    s = {1, 2, 3} | {5}
    s.add(7)
    s.discard(1)
    seen = set()
    y = x
    for k in sorted(s & {2, 3, 7, 9}):
        if k not in seen:
            y = y * k + x
        seen.add(k)
    return y * len(s - {3}) + len(s ^ {2})


def deques(x):
    d = deque([x, 2.0], maxlen=4)
    d.append(x * x)
    d.appendleft(x * 3.0)
    d.append(5.0 * x)
    d.rotate(1)
    y = d.pop() * d.popleft()
    d.extend([x, 7.0])
    d.extendleft([x + 1.0])
    d[1] *= 2.0
    return y + sum(v * (k + 1.0) for k, v in enumerate(d)) + d[-1]


def moving_average(x):
    window, total = deque(), 0.0
    for k in range(8):
        window.append(x**k)
        if len(window) > 3:
            total -= window.popleft()
        total += window[-1] * (k + 1.0)
    return total * sum(window)


def defaultdicts(x):
    d = defaultdict(list)
    for k in range(6):
        d[k % 2].append(x**k)
    n = defaultdict(float)
    for word in ("a", "b", "a"):
        n[word] += x
    tree = defaultdict(lambda: x * 3.0)
    return sum(d[0]) * d[1][-1] + n["a"] * n["b"] + n["c"] + tree["new"]


def other_dicts(x):
    c = Counter("abca")
    c["a"] += x
    o = OrderedDict(a=x, b=2.0)
    o["c"] = x * x
    o.move_to_end("a")
    first = o.popitem(last=False)[1]
    m = ChainMap({"p": x}, {"p": 0.0, "q": x * x})
    m["r"] = x * 5.0
    return c["a"] * c["b"] + first * next(iter(o.values())) + m["p"] * m["q"] + m["r"]


def heaps(x):
    heap = []
    for k, v in enumerate([x, 0.3, x * x, 2.0 * x, 0.9]):
        heapq.heappush(heap, (v, k))
    y = heapq.heappop(heap)[0] * 3.0 + heapq.heappop(heap)[0]
    rest = [v for v, _ in heap]
    heapq.heapify(rest)
    y += heapq.heappushpop(rest, x + 0.05) * heapq.heapreplace(rest, x * 4.0)
    return y * rest[0] + sum(heapq.nlargest(2, [x, 2.0, x * 3.0])) + heapq.nsmallest(1, [x, 2.0])[0]


def bisections(x):
    grid = [0.0, x * 0.5, x, 2.0, 3.0 * x + 2.0]
    i = bisect.bisect_left(grid, 0.6)
    bisect.insort(grid, x * x)
    w = (0.6 - grid[i - 1]) / (grid[i] - grid[i - 1])
    return w * grid[2] + grid[3]


def copies(x):
    a = {"v": [x, 2.0], "w": x}
    b, c = copy.copy(a), copy.deepcopy(a)
    a["v"][0] *= 3.0
    a["w"] = 7.0
    c["v"][1] = x * x
    return a["v"][0] * b["v"][0] + b["w"] + c["v"][0] * c["v"][1] * c["w"]


@pytest.mark.parametrize("x", [0.4, 1.3])
@pytest.mark.parametrize(
    "program",
    [
        list_methods,
        list_slices,
        list_operators,
        list_sort,
        tuples,
        dict_methods,
        dict_views,
        dict_with_active_keys,
        nested_containers,
        sets,
        deques,
        moving_average,
        defaultdicts,
        other_dicts,
        heaps,
        bisections,
        copies,
    ],
)
def test_containers(program, x):
    check(program, x)


def mutates_a_list(a):
    a.append(a[0] * a[1])
    a[0] = a[2] ** 2
    del a[1]
    return a


def mutates_a_dict(d):
    d["sum"] = d.pop("a") + d["b"][0]
    d["b"][0] *= d["sum"]
    return d["b"][0] * d["sum"]


def one_object_under_two_names(d):
    d["p"][0] *= 2.0
    return d["p"][0] * d["q"][1] + d["q"][0]


def holds_arrays(a):
    a[0] += a[1]
    a[1][0] = 5.0
    a.append(a[0] * 2.0)
    return a[2] * a[1]


def test_containers_as_arguments_and_results():
    shared = [0.3, 0.8]
    check(mutates_a_list, [0.5, 0.8])
    check(mutates_a_dict, {"a": 0.4, "b": [1.5, 2.0]})
    check(one_object_under_two_names, {"p": shared, "q": shared})
    check(holds_arrays, [np.array([0.3, 0.5]), np.array([1.2, -0.4])])


def test_a_cycle_in_a_list():
    loop = [0.3, 0.8]
    loop.append(loop)
    check(lambda a: a[2][2][0] * a[1] ** 2, loop)
