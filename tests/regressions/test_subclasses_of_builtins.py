"""Objects whose class extends a number, a tuple or a class written in C: nothing active in them is lost."""

import collections
import functools
import typing

import numpy as np
import pytest

import tapeless as tl


class Metres(float):
    def __add__(self, other):
        return super().__add__(other) * 2

    def __mul__(self, other):
        by = super().__mul__
        return by(other) + float.__mul__(self, other)


class Odd(float):
    def __mul__(self, other):
        return other * 3


class Labelled(float):
    def __new__(cls, value, label):
        made = super().__new__(cls, value)
        made.label = label * 2
        return made

    def __init__(self, value, label):
        self.scaled = 3 * value + self


class Count(int):
    pass


class Double(np.float64):
    pass


class WithInit(collections.namedtuple("WithInit", "x")):
    def __init__(self, x):
        self.twice = 2 * x


class WithNew(collections.namedtuple("WithNew", "x y")):
    def __new__(cls, x, y=3.0):
        return super().__new__(cls, 2 * x, y=y * x)


class Both(WithNew):
    def __init__(self, x, y=1.0):
        self.z = self.x * y


class Scale:
    def __get__(self, instance, owner=None):
        return instance.a * 3 + instance[1]


class Sides(typing.NamedTuple):
    a: float
    b: float

    @property
    def area(self):
        return self.a * self.b

    def __getattr__(self, name):
        if name == "c":
            return self.a * 7
        raise AttributeError(name)


class Box(Sides):
    scale = Scale()

    @functools.cached_property
    def twice(self):
        return 2 * self.area * self.a

    @property
    def area(self):
        return super().area + self.a

    def through_super(self):
        return super().area * super().a


class Tripled(tuple):
    def __getitem__(self, i):
        return super().__getitem__(i) * 3


def attributes_of_a_tuple(x):
    box = Box(x, x * x)
    vars(box)["more"] = box.twice
    return box.more * box.__dict__["twice"]


class Twice:
    def __get__(self, instance, owner=None):
        return instance * 2.0


class Angle(float):
    name = ""
    turn = 1.0
    twice = Twice()

    def labelled(self, label):
        self.name = label
        self.size = self * len(self.name)
        return self


class Asked(float):
    def __getattr__(self, name):
        if name == "double":
            return self * 2.0
        raise AttributeError(name)


class AskedFirst(float):
    def __getattribute__(self, name):
        return float.__mul__(self, 2.0) if name == "double" else float.__getattribute__(self, name)


def class_attribute_of_a_float(x):
    Angle.turn = x
    try:
        return Angle(x).turn * Angle(2.0).turn * 3.0
    finally:
        Angle.turn = 1.0


PROGRAMS = {
    "class attribute of a float": class_attribute_of_a_float,
    "attributes of a float and of its class": lambda x: (
        Angle(x).labelled("abc").size * Angle(x).turn * len(Angle(x).name + "a")
    ),
    "__getattr__ of a float": lambda x: Asked(x).double * Asked(x).real,
    "__getattribute__ of a float": lambda x: AskedFirst(x).double,
    "descriptor of a float": lambda x: Angle(x).twice * x,
    "float": lambda x: Metres(x) + x,
    "bound operator": lambda x: Metres(x) * x,
    "operator of the other operand": lambda x: x * Odd(x) + Odd(x) * x,
    "float with fields": lambda x: Labelled(x, x * x).scaled * Labelled(x, x).label,
    "from text": lambda x: Metres("2.0") * x,
    "int": lambda x: Count(5) * x,
    "numpy.float64": lambda x: Double(x) * Double(x),
    "named tuple with __init__": lambda x: WithInit(x).twice + WithInit(x=x).x,
    "named tuple with __new__": lambda x: WithNew(x).x * WithNew(x, y=x).y,
    "named tuple with both": lambda x: Both(x, x).z,
    "cached property": lambda x: Box(x, x * x).twice,
    "descriptor": lambda x: Box(x, x * x).scale,
    "__getattr__": lambda x: Box(x, x).c,
    "super().property": lambda x: Box(x, x * x).through_super(),
    "super(cls, obj)": lambda x: super(Box, Box(x, x * x)).area,
    "__dict__": attributes_of_a_tuple,
    "tuple": lambda x: Tripled((x, x * x))[1],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_subclass_of_a_builtin_keeps_its_derivative(name):
    tl.check_grads(PROGRAMS[name], (1.3,))


def test_scipy_results_with_more_attributes_than_items():
    stats = pytest.importorskip("scipy.stats")
    x, y = np.array([0.3, -0.2, 0.9, 0.4, 1.3]), np.arange(5.0) ** 1.2
    tl.check_grads(lambda x: stats.linregress(x, y).intercept_stderr, (x,))
    tl.check_grads(lambda x: stats.linregress(x, y)[0], (x,))
    tl.check_grads(lambda x: stats.ttest_ind(x, y).pvalue, (x,))


def test_a_class_made_in_c_whose_objects_object_makes_is_refused():
    spatial = pytest.importorskip("scipy.spatial")
    points = np.array([[0.0, 0.1], [1.0, 0.0], [0.9, 1.2], [0.1, 0.8]])
    with pytest.raises(tl.TapelessError, match=r"cannot differentiate .*ConvexHull"):
        tl.grad(lambda p: spatial.ConvexHull(p).volume)(points)


class Noted(type):
    def __call__(cls, x):
        made = super().__call__(x)
        made.note = x * made.x
        return made


class WithNote(metaclass=Noted):
    def __init__(self, x):
        self.x = 2.0 * x


def test_a_metaclass_makes_its_objects_by_super():
    tl.check_grads(lambda x: WithNote(x).note, (1.3,))


class Registered:
    factors: typing.ClassVar = {}

    def __init_subclass__(cls, factor=1.0):
        Registered.factors[cls.__name__] = factor


def keyword_of_a_class(x):
    class Made(Registered, factor=x):
        pass

    return Registered.factors[Made.__name__]


def test_an_active_keyword_of_a_class_is_refused():
    with pytest.raises(tl.TapelessError, match="keyword of class Made"):
        tl.grad(keyword_of_a_class)(1.3)
