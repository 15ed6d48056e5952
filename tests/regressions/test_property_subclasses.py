"""Subclasses of `property`, as packages write them for values that are computed once."""

import pytest

from checking import check


class Named(property):
    """Knows its function's name; is read as any property."""

    def __init__(self, method, put=None):
        self.name = method.__name__
        property.__init__(self, method, put)


class Once(Named):
    """Its value is computed once and kept in the object."""

    def __get__(self, owner, kind=None):
        try:
            return owner.kept[self.name]
        except KeyError:
            owner.kept[self.name] = value = self.fget(owner)
            return value


class Doubled(property):
    """Cannot be read from the class."""

    def __get__(self, owner, kind=None):
        if owner is None:
            raise AttributeError("of an object only")
        return 2.0 * super().__get__(owner, kind)

    def __set__(self, owner, value):
        super().__set__(owner, 3.0 * value)


def put_side(square, value):
    square.length = value * value


class Square:
    def __init__(self, length):
        self.length = length
        self.kept = {}

    @Named
    def area(self):
        return self.length * self.length

    @Once
    def perimeter(self):
        return 4.0 * self.length

    @Named
    def both(self):
        return self.area * self.perimeter * self.perimeter

    @Doubled
    def reach(self):
        return self.length * 1.5

    @reach.setter
    def reach(self, value):
        self.length = value * value

    side = Named(lambda self: self.length, put_side)


class Tile(Square):
    @property
    def area(self):
        return super().area * super().reach


class Degrees(float):
    @Named
    def radians(self):
        return self * 0.0174532925


def stored(x):
    square = Square(x)
    square.side = x + 1.0
    square.reach = x * square.length
    return square.length


FUNCTIONS = {
    "read": lambda x: Square(x).area,
    "kept": lambda x: Square(x).both,
    "own __get__": lambda x: Square(x).reach,
    "super": lambda x: Tile(x).area,
    "getattr": lambda x: getattr(Square(x), "area"),  # noqa: B009
    "object.__getattribute__": lambda x: object.__getattribute__(Square(x), "area"),
    "of a number": lambda x: Degrees(x).radians,
    "stored": stored,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_property_of_a_subclass(name):
    check(FUNCTIONS[name], 1.3)


class Kept:
    """A descriptor that cannot be read from the class."""

    def __get__(self, owner, kind=None):
        return owner.__dict__["hidden"]

    def __set__(self, owner, value):
        owner.__dict__["hidden"] = value * value


class Holder:
    kept = Kept()


def test_descriptors_are_not_read_from_the_class():
    def f(x):
        holder = Holder()
        holder.other = x
        holder.kept = x
        return holder.kept * holder.other

    check(f, 1.3)


class Watched:
    """All stores go through `__setattr__`, those to properties too."""

    def __init__(self):
        object.__setattr__(self, "total", 0.0)

    @property
    def level(self):
        return self.total

    @level.setter
    def level(self, value):
        object.__setattr__(self, "total", value)

    def __setattr__(self, name, value):
        object.__setattr__(self, "total", 7.0 * value)


def test_setattr_before_properties():
    def f(x):
        watched = Watched()
        watched.level = x * x
        return watched.level

    check(f, 1.3)
