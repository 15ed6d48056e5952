"""Programs with assertions, outside a test module: pytest rewrites the assertions of those."""


def asserted(x):
    assert x > 0, "positive"
    assert isinstance(x, float)
    return x * x


def asserts(x):
    assert x[0] > 10.0, f"too small: {x[0]:.1f}"


def asserted_and_caught(x):
    y = x
    try:
        y *= 3.0
        assert y < 2.0, y
        y *= x
    except AssertionError as error:
        y += error.args[0] * x
    return y
