"""Exceptions, `try` in all its forms, `with`, `assert`."""

# A corpus holds what people should not write.
# ruff: noqa
# fmt: off

from contextlib import contextmanager, suppress

from frontend.corpus.cases import Noisy, case, say


class Mine(Exception):
    pass


@case(("k",), ("v",), ("t",), ("none",), ("mine",), ("base",))
def handlers(kind):
    try:
        if kind == "k":
            {}["x"]
        elif kind == "v":
            int("x")
        elif kind == "t":
            "a" + 1
        elif kind == "mine":
            raise Mine(1, 2)
        elif kind == "base":
            raise SystemExit(3)
    except KeyError as error:
        return "key", error.args
    except (ValueError, TypeError) as error:
        return "value or type", error.args
    except Mine:
        return "mine"
    except:
        say("bare")
        raise
    else:
        say("else")
    finally:
        say("finally")
    return "end"


@case((0,), (1,), (2,), (3,))
def finally_wins(n):
    out = []
    for i in range(4):
        try:
            if n == 0:
                continue
            if n == 1:
                break
            if n == 2:
                return out
            raise ValueError(i)
        finally:
            out.append(i)
            if i == 2:
                return "final", out
            if n == 3:
                continue
    return out


@case()
def return_value_is_computed_first():
    x = 1
    def f():
        nonlocal x
        try:
            return x
        finally:
            x = 2
    def g():
        y = 1
        try:
            return y
        finally:
            y = 2
    def h():
        y = [1]
        try:
            return y
        finally:
            y.append(2)
    def k():
        try:
            return 1
        finally:
            return 2
    def m():
        while True:
            try:
                return 1
            finally:
                break
        return 3
    return f(), x, g(), h(), k(), m()


@case()
def contexts():
    out = []
    try:
        try:
            raise ValueError("a")
        except ValueError:
            raise KeyError("b")
    except KeyError as error:
        out.append(error)
    try:
        try:
            raise ValueError("a")
        except ValueError as error:
            raise KeyError("b") from error
    except KeyError as error:
        out.append(error)
    try:
        try:
            raise ValueError("a")
        except ValueError as error:
            raise KeyError("b") from None
    except KeyError as error:
        out.append(error)
    try:
        try:
            raise ValueError("a")
        finally:
            {}["x"]
    except KeyError as error:
        out.append(error)
    try:
        raise ValueError from say("cause", KeyError)
    except ValueError as error:
        out.append(error)
    try:
        try:
            1 / 0
        except say("kind", ZeroDivisionError):
            try:
                raise
            except ZeroDivisionError as inner:
                out.append(inner)
                raise Mine
    except Mine as error:
        out.append(error)
    return out


@case()
def bare_raise():
    def again():
        raise
    try:
        raise ValueError(1)
    except ValueError:
        again()


@case()
def raise_nothing():
    raise


@case((1,), (ValueError,), ((ValueError, 3),), ("s",), ((KeyError, (ValueError,)),))
def strange_kinds(kind):
    try:
        raise ValueError("v")
    except kind:
        return "caught"


@case((1,), (ValueError,), (ValueError(3),), (None,), (Noisy,))
def strange_raises(what):
    raise what


@case()
def name_is_deleted():
    error = "before"
    try:
        raise ValueError(1)
    except ValueError as error:
        pass
    try:
        return error
    except UnboundLocalError as other:
        print(other.args)
    for i in range(2):
        try:
            raise KeyError(i)
        except KeyError as error:
            if i == 0:
                continue
            error = "rebound"
    try:
        return error
    except NameError as other:
        print(other.args)
    def f():
        try:
            raise ValueError(2)
        except ValueError as captured:
            g = lambda: captured
            before = g().args
        try:
            g()
        except NameError as other:
            return before, other.args
    def h():
        try:
            raise ValueError(2)
        except ValueError as deleted:
            del deleted
        try:
            raise ValueError(3)
        except ValueError as deleted:
            return deleted.args
    return f(), h()


@case()
def nested():
    out = []
    for i in range(5):
        try:
            try:
                if i == 1: raise ValueError(i)
                if i == 2: raise KeyError(i)
                if i == 3: break
                out.append("ok")
            except ValueError as e:
                out.append(e.args)
                if i == 1: continue
            else:
                out.append("else")
            finally:
                out.append("inner")
            out.append("after")
        except KeyError as e:
            out.append(e.args)
        finally:
            out.append("outer")
    else:
        out.append("never")
    return out


@case((0,), (1,), ("",))
def asserts(x):
    assert x is not None
    assert x, f"message {x!r} {say('only when it fails')}"
    return x


@case((0,), (1,), (2,), (3,), (4,))
def with_exits(n):
    out = []
    for i in range(3):
        with Noisy("outer", n == 4), Noisy("inner", n == 3) as m:
            if n == 0:
                continue
            if n == 1:
                break
            if n == 2:
                return m.name
            raise ValueError(i)
        out.append(i)
    else:
        out.append("else")
    return out


@contextmanager
def managed(name, swallow):
    print("in", name)
    try:
        yield name
    except ValueError as error:
        print("caught", name, error.args)
        if not swallow:
            raise
    finally:
        print("out", name)


@case((True,), (False,))
def with_generators(swallow):
    with managed("a", False) as a:
        pass
    with managed("b", swallow) as b, suppress(KeyError):
        {}["x"]
    with managed("c", swallow) as c:
        with managed("d", False):
            raise ValueError(c)
    with (managed("e", True) as e, managed("f", True) as (f)):
        raise ValueError(a, b)
    return a, b, c, e, f


class OnlyEnter:
    def __enter__(self): return self


class OnlyExit:
    def __exit__(self, *args): return True


class Instance:
    def __init__(self):
        self.__enter__ = lambda: print("wrong")
        self.__exit__ = lambda *a: print("wrong")
    def __enter__(self): return say("enter", self)
    def __exit__(self, *args): return say("exit")


class BadEnter(Instance):
    def __enter__(self): raise KeyError("enter")


class BadExit(Instance):
    def __exit__(self, *args): raise KeyError("exit", args[0])


@case((OnlyEnter,), (OnlyExit,), (Instance,), (int,), (BadEnter,), (BadExit,))
def with_protocol(make):
    with make() as m:
        print(type(m).__name__)
    with make() as m:
        raise ValueError(1)


@case()
def with_targets():
    data = [0, 0]
    class Pair:
        def __enter__(self): return 1, (2, 3)
        def __exit__(self, *args): return False
    with Pair() as (a, [b, c]), Pair() as data[0], Pair() as data[-1]:
        pass
    with Pair():
        pass
    return a, b, c, data


@case()
def exception_inside_expressions():
    out = []
    def boom(x):
        raise ValueError(x)
    for f in (lambda: [boom(1)], lambda: boom(2) if boom(3) else 0, lambda: [boom(i) for i in range(3)]):
        try:
            f()
        except ValueError as error:
            out.append(error.args)
    x = "old"
    try:
        x = boom(4)
    except ValueError:
        out.append(x)
    try:
        x, y = 1, boom(5)
    except ValueError:
        out.append(x)
    try:
        x = x + 1
    except TypeError:
        out.append(x)
    try:
        [x, y] = 1, 2, 3
    except ValueError as error:
        out.append((x, error.args))
    return out


@case()
def notes_and_groups():
    try:
        error = ValueError(1)
        error.add_note("note")
        raise ExceptionGroup("g", [error, KeyError(2)])
    except ExceptionGroup as group:
        return group.message, [type(e) for e in group.exceptions], group.exceptions[0].__notes__
