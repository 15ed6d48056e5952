"""Generators: send, throw, close, delegation, generator expressions."""

# A corpus holds what people should not write.
# ruff: noqa
# fmt: off

from frontend.corpus.cases import Noisy, case, say


@case()
def sending():
    def g(n):
        received = []
        while n:
            got = yield n
            received.append(got)
            n -= 1
        return received
    it = g(3)
    out = [next(it), it.send("a"), it.send("b")]
    try:
        it.send("c")
    except StopIteration as stop:
        out.append(stop.value)
    return out


@case()
def throwing():
    def g():
        while True:
            try:
                yield 1
            except ValueError as error:
                yield error.args
            finally:
                print("finally")
    it = g()
    out = [next(it), it.throw(ValueError("x")), next(it)]
    it.close()
    try:
        next(it)
    except StopIteration:
        out.append("stopped")
    it = g()
    try:
        it.throw(KeyError(1))
    except KeyError as error:
        out.append(error)
    it = g()
    next(it)
    try:
        it.throw(KeyError(2))
    except KeyError as error:
        out.append(error)
    return out


@case()
def closing():
    def g():
        try:
            yield 1
            yield 2
        except GeneratorExit:
            print("closing")
            raise
        finally:
            print("cleanup")
    it = g()
    next(it)
    it.close()
    it = g()
    it.close()
    def stubborn():
        try:
            yield 1
        except GeneratorExit:
            yield 2
    it = stubborn()
    next(it)
    it.close()


@case()
def delegation():
    def inner():
        x = yield "inner"
        try:
            yield x
        except KeyError as error:
            yield error.args
        return "result"
    def outer():
        value = yield from inner()
        yield value
        value = yield from [1, 2]
        yield value
        yield from ()
        return (yield)
    it = outer()
    out = [next(it), it.send("sent"), it.throw(KeyError("k")), *it]
    return out


@case()
def yield_as_expression():
    def g():
        x = [(yield 1), (yield 2)]
        y = {(yield 3): (yield 4)}
        z = say("call", (yield 5)) + (yield 6)
        w = f"{(yield 7)}"
        if (yield 8):
            yield x, y, z, w
        lam = lambda: (yield 9)
        yield from lam()
        a = yield
        b = yield a, 1
        b += yield b
        return b
    it = g()
    out = [next(it)]
    try:
        for i in range(10, 30):
            out.append(it.send(i))
    except StopIteration as stop:
        out.append(stop.value)
    return out


@case()
def expressions():
    n = 3
    a = (x * n for x in range(n) if x)
    n = 10
    b = ((x, y) for x in range(2) for y in (x, n))
    c = (i for i in Noisy("it"))
    d = ((yielded := v) for v in range(3))
    e = sum(x for x in (y + 1 for y in range(4)))
    f = list(list(x + y for x in range(2)) for y in range(2))
    g = [*(lambda: (z for z in range(2)))()]
    out = list(a), list(b), list(c), list(d), yielded, e, f, g
    try:
        (x for x in 3)
    except TypeError as error:
        return out, error.args


@case()
def never_yields():
    def g():
        return 5
        yield
    def h():
        if False:
            yield
        print("ran")
    return list(g()), list(h()), g, type(g()).__name__


@case()
def interleaved():
    def numbers(name, n):
        for i in range(n):
            print(name, i)
            yield i
    return [(a, b) for a, b in zip(numbers("a", 3), numbers("b", 2))]


@case()
def lazy():
    def g():
        print("start")
        yield 1
        print("end")
    it = g()
    print("made")
    out = next(it)
    return out, list(it), list(it)


@case()
def stop_inside():
    def g():
        yield 1
        raise StopIteration(2)
    return list(g())


@case()
def state_is_kept():
    def counter(n):
        for i in range(n):
            step = yield i
            if step is not None:
                n, i = step, -i
    def windowed(items, size):
        window = []
        for item in items:
            window.append(item)
            if len(window) == size:
                yield tuple(window)
                del window[0]
    def tree(node):
        if node:
            left, value, right = node
            yield from tree(left)
            yield value
            yield from tree(right)
    def with_block():
        with Noisy("cm"):
            yield 1
            yield 2
    w = with_block()
    next(w)
    w.close()
    return (
        list(counter(3)), list(windowed(range(5), 3)), list(tree((((), 1, ()), 2, ((), 3, ())))), list(with_block()),
        dict(enumerate(counter(2))), max(counter(4)), (lambda a, *b: (a, b))(*counter(3)),
    )


@case((3,))
def is_generator(n):
    x = yield n
    for i in range(n):
        yield i, x
    return "done"
