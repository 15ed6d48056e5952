"""Elements under a mask that stay where they are: `x[mask]` until somebody needs them side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapeless.backends.native.nest import I64, ZERO, Assign, Expr, Ref, apply
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.elements import convert, each, literal
from tapeless.backends.native.staging.values import ArrayValue, Element, Index, Lazy, Value, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


@dataclass(eq=False)
class Compressed(Lazy):
    """The elements of `source` where `mask` is true; sums and functions need not bring them together."""

    source: ArrayValue | None = None
    mask: ArrayValue | None = None


def chosen_at(stager: Stager, chosen: ArrayValue, index: Index) -> Expr:
    e = storage.at(stager, chosen, index)
    assert isinstance(e, Expr)
    return e


def compressed(stager: Stager, source: ArrayValue, chosen: ArrayValue, length: Expr) -> Compressed:
    """A lazy whose elements are found one after the other only."""
    own = source
    if isinstance(own, Lazy):  # what is computed from this one later is no use of the program's value
        source = storage.lazy(
            stager, own.shape, own.dtype, lambda i: storage.at(stager, own, i), [own], storage.cost(own)
        )

    def element(index: Index) -> Element:
        raise AssertionError("an element of a compressed array is read out of order")

    plain = storage.lazy(stager, (length,), source.dtype, element, [source, chosen], storage.LOOP)
    stager.live_lazies.discard(plain)
    made = Compressed(
        plain.shape, plain.dtype, element, plain.reads, plain.cost, home=plain.home, serial=plain.serial,
        source=source, mask=chosen,
    )  # fmt: skip
    stager.live_lazies.add(made)
    return made


def fill_compressed(stager: Stager, target: View, value: Compressed) -> None:
    """Store the chosen elements one after the other."""
    source, chosen = value.source, value.mask
    assert source is not None and chosen is not None
    position = stager.scalar(I64, "k")
    stager.emit(Assign(position, ZERO))
    with storage.nest(stager, chosen.shape, independent=False) as inside:
        with stager.branch(chosen_at(stager, chosen, inside)), storage.layer(stager):
            element = convert(storage.at(stager, source, inside), source.dtype, target.dtype)
            storage.store(stager, target, (Ref(position),), element)
            stager.emit(Assign(position, Ref(position) + 1))


def pending(value: Value) -> Compressed | None:
    """The value, if it is compressed and not made."""
    if not isinstance(value, Compressed) or value.made is not None:
        return None
    if value.mask is None:
        value.compute(())  # it was given up: this refuses
    return value


def same_mask(a: ArrayValue | None, b: ArrayValue | None) -> bool:
    if isinstance(a, View) and isinstance(b, View):
        return (a.array, a.axes, a.shape) == (b.array, b.axes, b.shape)
    return a is b


def spread(stager: Stager, value: Compressed, neutral: object) -> ArrayValue:
    """The source with a neutral element where the mask is false: what a sum may run over instead."""
    source, chosen = value.source, value.mask
    assert source is not None and chosen is not None
    other = literal(neutral, source.dtype)

    def element(index: Index) -> Element:
        test = chosen_at(stager, chosen, index)
        if storage.cost(source) < storage.FUNCTION:
            test = test if not elements.is_complex(source.dtype) else stager.bind(test)
            return each(lambda a, b: apply("select", test, a, b), storage.at(stager, source, index), other)
        variables = []
        for part in elements.parts(other):
            var = stager.scalar(part.type, "x")
            stager.emit(Assign(var, part))
            variables.append(var)
        with stager.branch(test), storage.layer(stager):
            for var, part in zip(variables, elements.parts(storage.at(stager, source, index)), strict=True):
                stager.emit(Assign(var, part))
        refs = tuple(map(Ref, variables))
        return refs[0] if len(refs) == 1 else (refs[0], refs[1])

    total = storage.cost(source) + storage.cost(chosen)
    return storage.lazy(stager, source.shape, source.dtype, element, [source, chosen], total)


def picked(value: Value) -> bool:
    """Whether a value is what an index has just picked, and nobody else holds."""
    return isinstance(value, Lazy) and value.made is None and value.picked and value.uses <= 1
