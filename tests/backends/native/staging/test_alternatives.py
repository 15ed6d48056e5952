"""Texts and known objects in lists that grow, objects on two paths, and loops over structures of objects."""

import heapq
import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable


def compiled_alike(program, *args):
    """Value, prints and derivatives are those of CPython."""
    assert tl.jit(program)(*args) == pytest.approx(program(*args), rel=1e-12)
    wanted = tl.grad(program)(*args)
    assert tl.jit(tl.grad(program))(*args) == pytest.approx(wanted, rel=1e-12)
    forward = tl.jit(lambda x, *rest: tl.jvp(lambda y: program(y, *rest), (x,), (1.0,))[1])
    assert forward(*args) == pytest.approx(wanted, rel=1e-12)
    assert wanted == pytest.approx(tl.finite_difference(program, *args), rel=1e-6)


def queue_of_events(rate, n):
    queue, counter = [], itertools.count()
    for k in range(n):
        heapq.heappush(queue, (k * rate, next(counter), "arrive"))
    busy, total = 0.0, 0.0
    while queue:
        t, _, kind = heapq.heappop(queue)
        if kind == "arrive":
            busy = max(t, busy) + 0.7 * (1 + 0.1 * t * rate)
            heapq.heappush(queue, (busy, next(counter), "leave"))
        else:
            total += t
    return total


def remembered(x, n):
    log = []
    for k in range(n):
        x = x * 0.9 + 0.01 * k
        log.append((x, None if k == 0 else "big" if x > 0.8 else "small"))
    return sum(v if name is None else v * v if name == "big" else 2.0 * v for v, name in log)


def report(x, n):
    lines = ["begin"]
    for k in range(n):
        x = x * 0.9
        lines.append(f"{k}: {x:.3f}")
        if x < 0.7:
            lines.append("below")
    print("\n".join(lines))
    return x


def test_texts_and_names_in_lists_that_grow(capsys):
    compiled_alike(queue_of_events, 0.5, 4)
    compiled_alike(remembered, 1.0, 40)
    compiled_alike(report, 1.0, 6)
    printed = capsys.readouterr().out.split("begin")
    assert "\n0: 0.900\n1: 0.810\n2: 0.729\n3: 0.656\nbelow\n4: 0.590\nbelow\n5: 0.531\nbelow\n" in printed


def lines_of(x, n):
    lines = ["begin"]
    for k in range(n):
        x = x * 0.9
        lines.append(f"{k}: {x:.3f}")
        lines.append("below" if x < 0.7 else None)
    return lines, lines[1], lines[-1]


def test_lists_of_texts_are_given_back():
    fast = tl.jit(lines_of)
    assert fast(1.0, 6) == lines_of(1.0, 6)
    assert fast(0.5, 3) == lines_of(0.5, 3)
    with pytest.raises(IndexError, match="list index out of range"):
        fast(0.5, 0)
    with pytest.raises(NotCompilable, match="texts"):
        tl.jit(lambda x, n: np.array([f"{x * k:.2f}" for k in range(n)]))(1.0, 70)


class Node:
    __slots__ = ("point", "axis", "left", "right")

    def __init__(self, point, axis, left, right):
        self.point, self.axis, self.left, self.right = point, axis, left, right


def built(points, depth=0):
    if not points:
        return None
    points = sorted(points, key=lambda p: p[depth % 2])
    mid = len(points) // 2
    return Node(points[mid], depth % 2, built(points[:mid], depth + 1), built(points[mid + 1 :], depth + 1))


def nearest(node, q, best):
    if node is None:
        return best
    d = (node.point[0] - q[0]) ** 2 + (node.point[1] - q[1]) ** 2
    best = d if best is None or d < best else best
    across = q[node.axis] - node.point[node.axis]
    near, far = (node.left, node.right) if across < 0 else (node.right, node.left)
    best = nearest(near, q, best)
    return nearest(far, q, best) if across * across < best else best


POINTS = [(0.1, 0.9), (0.4, 0.2), (0.8, 0.7), (0.3, 0.6)]


def in_tree(x):
    return nearest(built(POINTS), (x, 0.41), None)


class Link:
    def __init__(self, value, then=None):
        self.value, self.then = value, then


class Links:
    def __init__(self):
        self.head = None

    def push(self, value):
        self.head = Link(value, self.head)

    def __iter__(self):
        link = self.head
        while link is not None:
            yield link.value
            link = link.then

    def reverse(self):
        before, link = None, self.head
        while link:
            link.then, before, link = before, link, link.then
        self.head = before


def linked(x, n):
    links = Links()
    for k in range(n):
        links.push(x**k)
    links.reverse()
    return sum(v * (i + 1) for i, v in enumerate(links))


def test_structures_of_objects():
    compiled_alike(in_tree, 0.45)
    compiled_alike(linked, 1.2, 5)


@dataclass(order=True)
class Item:
    priority: float
    name: str = field(compare=False)


class Job:
    def __init__(self, cost, k):
        self.cost, self.k = cost, k

    def __lt__(self, other):
        return self.cost < other.cost


def jobs(x, n):
    heap, total, weight = [], 0.0, 1.0
    for k in range(n):
        heapq.heappush(heap, Job(math.sin(x * (k + 1)), k))
    while heap:
        job = heapq.heappop(heap)
        total += job.cost * weight * job.k
        weight *= 0.7
        if job.cost < 0.3 and job.k < 100:
            heapq.heappush(heap, Job(job.cost + 0.5 * x, job.k + 100))
    return total


def named(x):
    heap, total = [], 0.0
    for k, name in enumerate("abcd"):
        heapq.heappush(heap, Item(math.sin(x * (k + 1)), name))
    while heap:
        item = heapq.heappop(heap)
        total = 0.5 * total + item.priority * (2.0 if item.name == "b" else 1.0)
    return total


def births(x, n):
    people = [Job(x, 0)]
    for _ in range(n):
        born = []
        for p in people:
            if p.cost < 2.0:
                born.append(Job(p.cost * 1.3, p.k + 1))
            if p.k < 3:
                born.append(Job(p.cost * 0.8, p.k + 1))
        people = born
    return sum(p.cost * p.k for p in people)


def aged(x, n):
    """The objects are changed in the list, so its length has to be known."""
    people = [Job(x + 0.1 * k, k) for k in range(n)]
    for p in people:
        p.cost += 0.1 * math.sin(p.cost)
    first = people[0]
    return sum(p.cost * (2.0 if p is first else 1.0) for p in people)


def test_objects_in_lists_that_grow():
    compiled_alike(jobs, 0.7, 12)
    compiled_alike(named, 0.7)
    compiled_alike(births, 0.7, 5)
    compiled_alike(aged, 0.7, 5)


def told_apart(xs):
    found, (x, most) = [], xs
    while x < most:
        x = x * 1.5
        found.append(Job(x, 1))
    return sum(p.cost * (2.0 if p is found[0] else 1.0) for p in found)


def changed_later(xs):
    found, (x, most) = [], xs
    while x < most:
        x = x * 1.5
        found.append(Job(x, 1))
    found[0].cost = 1.0
    return sum(p.cost for p in found)


def best_changed(xs):
    found, (x, most) = [], xs
    while x < most:
        x = x * 1.5
        found.append(Job(math.sin(x), 1))
    best = None
    for p in found:
        if best is None or p.cost < best.cost:
            best = p
    best.cost += 10.0
    return sum(p.cost for p in found)


def either_changed(xs):
    found, (x, most) = [], xs
    while x < most:
        x = x * 1.5
        found.append(Job(math.sin(x), 1))
    one = found[0] if found[0].cost > 0.3 else found[1]
    one.cost = 5.0
    return sum(p.cost for p in found)


def given_back(xs):
    found, (x, most) = [], xs
    while x < most:
        x = x * 1.5
        found.append(Job(x, 1))
    return found


def test_objects_in_lists_are_copies_which_nobody_notices():
    programs = {told_apart: "told from", given_back: "returned"}
    for program in (told_apart, changed_later, best_changed, either_changed, given_back):
        with pytest.raises(NotCompilable, match=programs.get(program, "changed")):
            tl.jit(program)(np.array([1.0, 20.0]))


def ranked(x, n):
    people = sorted([Job(math.sin(x * k), k) for k in range(n) if k != 40], key=lambda p: -p.cost)
    best = min(people, key=lambda p: abs(p.cost - 0.5))
    values = {"a": x, "b": x * x, "c": 0.6}
    order = sorted(values.items(), key=lambda item: item[1], reverse=True)
    names = sum(k * v * (3.0 if name == "a" else 1.0) for k, (name, v) in enumerate(order))
    return sum(p.cost * p.k * k for k, p in enumerate(people)) + best.cost * x + names


def sorted_later(x, n):
    """Equal keys stay as they were, also backwards; lists are sorted whose length is found in the call."""
    items = [(round(math.sin(3 * k), 1), math.cos(x * k)) for k in range(n)]
    kept = [v for _, v in items if v > 0.0]
    middle = sorted(kept)[len(kept) // 2]
    backwards = sorted(items, key=lambda item: item[0], reverse=True)
    items.sort(key=lambda item: (item[0] > 0, item[1]))
    kept.sort(reverse=True)
    pairs = zip(items, backwards, strict=True)
    return sum(k * v * w for k, ((_, v), (_, w)) in enumerate(pairs)) + middle * kept[0]


def grouped(x, n):
    groups = {"late": [], "early": []}
    for k in range(n):
        groups["early" if k * x < 10.0 else "late"].append(math.sin(k * x))
    return sum((1.0 + i) * sum(v) for i, (_, v) in enumerate(sorted(groups.items())))


def with_nan(xs):
    return sorted([v * v for v in xs if not v > 2.0])


class Counted:
    asked = 0

    def __init__(self, v):
        self.v = v

    def __lt__(self, other):
        Counted.asked += 1
        return self.v < other.v


def test_sorted_lists_of_what_is_known_when_the_program_runs():
    compiled_alike(ranked, 0.7, 45)
    compiled_alike(sorted_later, 0.7, 50)
    compiled_alike(grouped, 0.7, 50)
    xs = np.array([1.0, np.nan, 0.5, 0.7])
    assert str(tl.jit(with_nan)(xs)) == str(with_nan(xs))
    with pytest.raises(NotCompilable, match="comparison changes"):
        tl.jit(lambda xs: sorted([Counted(x) for x in xs])[0].v)(np.ones(40))


class Solver:
    def __init__(self):
        self.message, self.steps = None, 0

    def run(self, x, n):
        for k in range(n):
            x = x - 0.1 * math.sin(x)
            self.steps += 1
            self.message = f"{self.steps}: {x:.2e}"
            if x < 0.6:
                self.message = "done, " + self.message
                status = f"converged after {k}"
                break
        else:
            status = "failed"
        return x, status


def solved(x, n):
    solver = Solver()
    y, status = solver.run(x, n)
    label = f"{y:.2f} of {n}" if y > 0.8 else f"{2 * y:.3f}, {1}"
    return y * solver.steps, solver.message, status, label


def test_texts_on_several_paths():
    fast = tl.jit(solved)
    for n in (0, 3, 70):
        value, *texts = fast(1.0, n)
        assert value == pytest.approx(solved(1.0, n)[0], rel=1e-12)
        assert texts == list(solved(1.0, n)[1:])
    compiled_alike(lambda x, n: solved(x, n)[0], 1.0, 70)


TABLE = {("a", True): "b", ("a", False): "a", ("b", True): "c", ("b", False): "a", ("c", True): "c"}


def automaton(x, n):
    state, y, seen, kept = "a", 0.0, {"a": 0.0, "b": 0.0, "c": 0.0}, {True: [], False: []}
    for i in range(n):
        v = math.sin(x * i)
        state = TABLE[state, v > -0.5] if (state, v > -0.5) in TABLE else "a"
        y += {"a": 1.0, "b": x, "c": x * x}[state] * 0.5**i
        seen[state] += v
        kept[v > 0.0].append(v * x)
    return y + seen["a"] - 2.0 * seen["c"] + sum(kept[True]) * len(kept[False])


def by_place(x, n):
    return sum({(0, True): x, (1, False): x * x}.get((k % 2, k % 2 == 0), 1.0) for k in range(n))


def missing(x):
    return {"a": x, "b": 2.0 * x}["a" if x < 0.5 else "b" if x < 1.0 else "c"]


def test_keys_that_are_one_of_a_few():
    compiled_alike(automaton, 0.7, 12)
    compiled_alike(missing, 0.7)
    compiled_alike(by_place, 0.7, 6)
    with pytest.raises(KeyError, match="c"):
        tl.jit(missing)(1.5)


def until(x, most):
    """The text gets longer in a loop of which it is not known how long it is."""
    path = ""
    while x < most:
        x = x * 1.5
        path += f"{x:.2f}, "
    return path


def test_what_cannot_be_unrolled_is_refused_for_the_first_reason():
    with pytest.raises(NotCompilable, match=r"the variable 'path' is '' on another path"):
        tl.jit(until)(1.0, 20.0)


def path_of(x, n):
    path = ""
    for _ in range(n):
        path += f"{x:.2f}, "
    return path


def test_long_loops_are_not_taken_apart_for_a_variable():
    assert tl.jit(path_of)(1.0, 5) == path_of(1.0, 5)
    with pytest.raises(NotCompilable, match="the variable 'path'"):
        tl.jit(path_of)(1.0, 300)
