"""Subclasses of containers with methods of their own, sets, and keys that carry derivatives."""

import collections

import pytest

from checking import check


class Numbers(list):
    def append(self, v):
        super().append(v * 2)

    def extend(self, vs):
        super().extend([v * 3 for v in vs])

    def insert(self, i, v):
        super().insert(i, v * 5)

    def pop(self, *at):
        return super().pop(*at) * 7

    def remove(self, v):
        super().remove(v)

    def clear(self):
        super().clear()
        super().append(self.k)

    def copy(self):
        made = Numbers(super().copy())
        made.k = self.k
        return made

    def reverse(self):
        super().reverse()
        self.k = self[0]

    def sort(self, **how):
        super().sort(**how)
        self.k = self[0] * 2

    def index(self, v):
        return super().index(v) + 1

    def __iadd__(self, other):
        super().__iadd__([v * 2 for v in other])
        return self

    def __iter__(self):
        return (v * 2 for v in super().__iter__())

    def __len__(self):
        return super().__len__() + 1


def lists(x):
    a = Numbers()
    a.k = x
    a.append(x)
    a.extend([x, x * x])
    a.insert(0, x)
    y = a.pop() + a.pop(0)
    a.append(x * x)
    a.append(3.0)
    a.sort()
    y += a.k
    a.reverse()
    y += a.k
    b = a.copy()
    b += [x]
    y += sum(b) + len(b) + b.index(6.0)
    b.remove(6.0)
    b.clear()
    y += sum(b) * b[0] + len(b)
    for v in a:
        y *= v
    return y + max(a) + sorted(a)[0] + sum([*a]) + ([x] + a)[1]


class Table(dict):
    def get(self, k, d=None):
        return super().get(k, d) * 2

    def pop(self, k, *d):
        return super().pop(k, *d) * 3

    def popitem(self):
        k, v = super().popitem()
        return k, v * 5

    def setdefault(self, k, d):
        return super().setdefault(k, d * 2)

    def update(self, *a, **k):
        super().update(*a, **k)
        self.n = 2.0

    def copy(self):
        return Table(super().copy())

    def values(self):
        return [v * 2 for v in super().values()]

    def items(self):
        return [(k, v * 3) for k, v in super().items()]

    def __contains__(self, k):
        return not super().__contains__(k)

    def __delitem__(self, k):
        super().__delitem__(k)
        self.n = 4.0

    def __iter__(self):
        return iter(sorted(super().__iter__()))


def tables(x):
    d = Table(a=x, b=x * x)
    y = d.get("a") + d.pop("b") + d.pop("z", x) + d.setdefault("q", x)
    d.update(r=x**3)
    y += d.popitem()[1]
    e = d.copy()
    y += sum(e.values()) + sum(v for k, v in e.items()) + d.n
    del d["a"]
    y += d.n + ("q" in d) * x + sum(dict(e).values()) + {**e}["a"]
    for k in e:
        y += e[k]
    return y


class Doubling(dict):
    def __missing__(self, k):
        self[k] = self.base * k
        return self[k]

    def __setitem__(self, k, v):
        super().__setitem__(k, v * 2)


def stores_of_a_table(x):
    d = Doubling()
    d.base = x
    d[2] = x
    d.update({3: x * x})  # dict's own update asks no method of the class
    d.update([(4, x)], z=x)
    return d[5] * d[2] + d[3] + sum(d.values()) + d.setdefault(9, x)


class Queue(collections.deque):
    def append(self, v):
        super().append(v * 2)

    def appendleft(self, v):
        super().appendleft(v * 3)

    def popleft(self):
        return super().popleft() * 5

    def rotate(self, n):
        super().rotate(n + 1)

    def pop(self):
        return super().pop() * 2

    def extend(self, v):
        super().extend(v)


def queues(x):
    q = Queue()
    q.append(x)
    q.appendleft(x * x)
    q.extend([x, 2.0])
    q.rotate(1)
    return q.popleft() + q.pop() + sum(q)


class Bag(set):
    def __init__(self, items=()):
        super().__init__(items)
        self.k = 2.0

    def add(self, v):
        super().add(v * 2)

    def pop(self):
        return super().pop() * 3


class Frozen(frozenset):
    def total(self):
        return sum(self) * 2


def sets(x):
    s = Bag([x])
    s.add(x)
    s.update([x**3])
    y = sum(s) * s.k
    s.clear()
    s.add(x * x)
    f = Frozen([x, x * x]) | {x**3}
    y += s.pop() + sum(f) + Frozen([x]).total() + sum(f - {x})
    t = {x, x * x}
    y += sum(t.union([x * 9], (x * 7,), {x * 5: 1})) + sum(frozenset({x}).union([x * 2]))
    t.update([x**3])
    t.difference_update([x])
    t.intersection_update([x * x, x**3])
    t.symmetric_difference_update([x * 5])
    return y + sum(t)


class Ordered(collections.OrderedDict):
    def __setitem__(self, k, v):
        super().__setitem__(k, v * 2)
        self.move_to_end(k, last=False)

    def popitem(self, last=True):
        k, v = super().popitem(last)
        return k, v * 3


def ordered(x):
    d = Ordered()
    d["a"] = x
    d["b"] = x * x
    d["c"] = 3.0 * x
    y = d.popitem()[1]
    y *= list(d.values())[0]
    d.update(z=x)  # an ordered dict asks the method of the class
    return y + d["z"] + d.popitem(last=False)[1]


@pytest.mark.parametrize("program", [lists, tables, stores_of_a_table, queues, sets, ordered])
def test_methods_of_subclasses(program):
    check(program, 1.1)


def keys_from_pairs(x):
    found = sum(dict([(x, 1.0), (x * x, 2.0)])) + sum(dict.fromkeys([x, x * x])) + sum({**{x: 1}, x * x: 2})
    return found + sum(dict(zip([x, 2 * x], "ab", strict=True)))


def keys_of_copies(x):
    d = {x: 1}
    e = d.copy()
    e[x * x] = 2
    f = d | e
    f |= {x**3: 3}
    return sum(f) + sum(e) + sum(d)


def keys_of_defaults(x):
    d = collections.defaultdict(float)
    d[x] += x
    d[x * x] += 2.0
    d.setdefault(x**3, x)
    k, v = d.popitem()
    return sum(a * b for a, b in d.items()) + k * v + max(d) + sorted(d)[0] + [*d][1]


def keys_put_again(x):
    d = {x: 1.0}
    del d[x]
    d[1.1] = x
    return sum(d) * d[1.1]


@pytest.mark.parametrize("program", [keys_from_pairs, keys_of_copies, keys_of_defaults])
def test_keys_that_carry_derivatives(program):
    check(program, 1.1)


def test_a_key_put_again_is_another_one():
    import tapeless as tl

    assert tl.grad(keys_put_again)(1.1) == 1.1
