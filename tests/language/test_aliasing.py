"""One storage under several names: views, views of views, containers, attributes, closures, results."""

import numpy as np
import pytest

import tapeless as tl
from checking import check

X = np.array([0.4, -0.8, 1.1, 0.6])
A = np.arange(12.0).reshape(3, 4) * 0.1 + 0.2


def view(x):
    v = x[1:3]
    v[0] = x[0] * x[3]
    v *= 2.0
    x[2] += v[0]
    return x * 3.0 + v.sum()


def view_of_view(x):
    v = x[::2]
    w = v[::-1]
    u = w[:1]
    u += x[1]
    w[1] *= x[3]
    return x**2


def second_name(x):
    y = x
    y[0] = 5.0 * x[1]
    z = y
    z *= x[0]
    return x + y + z


def copy_is_not_a_view(x):
    y, z, w = x.copy(), np.array(x), +x
    y[0] *= 2.0
    z[1] = 7.0
    w += x
    v = np.asarray(x)
    v[2] *= 3.0
    return x * y + z * w


def transposes(a):
    t = a.T
    t[0] = a[:, 1] * 2.0
    s = t.swapaxes(0, 1)[1:]
    s[0, 2] *= a[0, 0]
    np.moveaxis(a, 0, 1)[3] += s[1, 1]
    return a


def reshapes(a):
    flat = a.reshape(-1)
    flat[3] = a[2, 2] ** 2
    cube = a.reshape(2, 3, 2)
    cube[1, :, 0] *= flat[0]
    r = a.ravel()
    r[5] += 1.0
    f = a.flatten()
    f[:] = 0.0
    a.T.reshape(-1)[0] = 100.0
    a[None, :, :, None][0, 0, 0, 0] *= 3.0
    return a


def ravel_of_a_slice(a):
    r = a[:, 1:3].ravel()
    r *= 100.0
    s = a[1:].ravel()
    s[0] = a[0, 0] * 4.0
    return a + r.sum()


def diagonal_views(a):
    square = a[:, :3]
    d = np.einsum("ii->i", square)
    d *= a[0, 3]
    flat = np.zeros((3, 3))
    flat.flat[::4] = d
    flat.reshape(-1)[1:3] += a[1, :2]
    return flat @ square


def strided_view(a):
    windows = np.lib.stride_tricks.sliding_window_view(a[0], 2)
    a[0, 1] *= 3.0
    return windows[:, 0] * windows[:, 1]


def broadcast_view(a):
    b = np.broadcast_to(a[0], (2, 4))
    a[0, 0] = a[1, 1] * 2.0
    return b * b


def row_views_in_a_loop(a):
    rows = list(a)
    for i, row in enumerate(rows):
        row += i * rows[i - 1]
    for column in a.T:
        column[0] *= column[1]
    for cell in rows[0][:, None]:
        cell[0] = cell[0] ** 2
    return a


def through_containers(x):
    store = {"v": x, "list": [x, x[1:]]}
    store["v"][0] *= x[2]
    store["list"][1][0] = x[0] + 1.0
    pair = (x, x[::-1])
    pair[1][0] += pair[0][1]
    store["list"][0] += 1.0
    return x * store["v"]


class Holder:
    def __init__(self, data):
        self.data = data
        self.half = data[: len(data) // 2]

    def write(self):
        self.half *= self.data[-1]
        self.data[-1] = self.half.sum()

    @property
    def tail(self):
        return self.data[2:]


def through_attributes(x):
    h = Holder(x)
    h.write()
    h.tail[0] *= 2.0
    h.data += h.half[0]
    return x


def through_closures(x):
    v = x[:2]

    def write(k):
        v[k] = x[k + 1] * x[k]

    write(0)
    v = x[2:]
    write(1 - 1)
    return x


def writes_part(part, by):
    part *= by
    part[0] += 1.0
    return part[1:]


def through_calls(x):
    rest = writes_part(x[1:], x[0])
    rest[0] = x[1] ** 2
    again = writes_part(rest, x[2])
    return x * again.sum()


def chosen_at_run_time(x):
    y = np.zeros(4)
    target = x if x[0] > 0 else y
    target[1] = x[0] * 3.0
    targets = [x, y, x[:2]]
    for k, t in enumerate(targets):
        t[0] += x[3] * k
    i = int(x[0] * 10.5) % 3
    targets[i][1] *= 2.0
    return x + y


def maybe_view(x):
    """`reshape` of what a branch chose: a view in one case, a copy in the other."""
    out = np.zeros(4)
    for a in (A * x[0], (A * x[0])[:, 1:3], A.T * x[1]):
        b = a.reshape(-1)
        b[0] = x[2]
        b[1] *= x[3]
        out[:2] += a.flat[:2]
        out[2:] += b[1:3]
    return out


def list_aliases(x):
    a = [x[0], x[1]]
    b = a
    b[0] = b[0] * x[2]
    c = a[:]
    c[0] = 0.0
    grid = [a] * 2
    grid[1][1] *= grid[0][0]
    a.append(grid[0][1])
    return b[0] * b[1] * b[2] + c[1]


def array_of_scalars_is_not_an_alias(x):
    y = x[0]
    x[0] = x[1] * 2.0
    z = x[0]
    x[0] += 1.0
    return y * z + x[0]


def stack_copies(x):
    s = np.stack([x, x * 2.0])
    c = np.concatenate([x, x])
    x[0] = 7.0
    s[0, 1] = x[1] ** 2
    return s.sum(axis=0) * x + c[:4]


def result_is_a_view(x):
    y = x * x
    v = y[1:]
    y[1] = x[0]
    return v


@pytest.mark.parametrize(
    "program",
    [
        view,
        view_of_view,
        second_name,
        copy_is_not_a_view,
        through_containers,
        through_attributes,
        through_closures,
        through_calls,
        chosen_at_run_time,
        maybe_view,
        list_aliases,
        array_of_scalars_is_not_an_alias,
        stack_copies,
        result_is_a_view,
    ],
)
def test_aliases_of_vectors(program):
    check(program, X)


@pytest.mark.parametrize(
    "program",
    [
        transposes,
        reshapes,
        ravel_of_a_slice,
        diagonal_views,
        strided_view,
        broadcast_view,
        row_views_in_a_loop,
    ],
)
def test_aliases_of_matrices(program):
    check(program, A)


@pytest.mark.parametrize("program", [transposes, reshapes, row_views_in_a_loop])
def test_aliases_of_views(program):
    wide = np.arange(24.0).reshape(3, 8) * 0.05 + 0.1
    check(program, wide[:, ::2])
    check(program, np.asfortranarray(A))
    check(program, wide[:, 4:][::-1])


def test_one_array_in_two_places_of_an_argument():
    def program(d):
        d["p"][0] *= 2.0
        d["q"][0] += d["p"][1]
        return d["p"] * d["q"]

    x = X.copy()
    check(program, {"p": x, "q": x})
    gradient = tl.grad(lambda d: (d["p"] * d["q"]).sum())({"p": x, "q": x})
    assert gradient["p"] is gradient["q"]
    np.testing.assert_allclose(gradient["p"], 2.0 * x, rtol=1e-12)


def writes_first_reads_second(x, y):
    x[0] = x[1] * 3.0
    return (y * y).sum()


@pytest.mark.parametrize("share", [lambda x: x, lambda x: x[::-1], lambda x: x[:2]])
def test_arguments_that_share_memory_are_one_storage_or_refused(share):
    x = X.copy()
    y = share(x)
    try:
        _, pullback = tl.vjp(writes_first_reads_second, x, y)
        gradients = pullback(1.0)
    except Exception as error:
        assert "memory" in str(error), error
        return
    whole = tl.grad(lambda z: writes_first_reads_second(z, share(z)))(X.copy())
    summed = gradients[0].copy()
    share(summed)[...] += gradients[1]
    found = [np.allclose(total, whole, rtol=1e-12, atol=0.0) for total in (gradients[0], summed)]
    assert any(found), f"{gradients} is a part of {whole}"


def test_arguments_that_share_memory_and_are_only_read():
    x = X.copy()
    gradients = tl.grad(lambda a, b: (a * a * b).sum(), argnums=(0, 1))(x, x)
    np.testing.assert_allclose(gradients[0], 2.0 * X * X, rtol=1e-12)
    np.testing.assert_allclose(gradients[1], X * X, rtol=1e-12)
    assert not np.shares_memory(*gradients)
