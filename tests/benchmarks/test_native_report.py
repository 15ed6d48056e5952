"""What the native benchmark says of its figures: wrong gradients, targets, missing contenders, the chart."""

import xml.etree.ElementTree as xml

import numpy as np
from benchmarks.kernels import ARRAY, LOOP
from benchmarks.measure import GRADIENT, JAX, NATIVE, NUMBA, PLAIN, PYTHON, TORCH, Figures

from benchmarks import harness, measure, native


def figures(name, kind, gradient, jax, primal=1e-3):
    seconds = {PLAIN: 9 * primal, NUMBA: primal, NATIVE: primal, GRADIENT: gradient, JAX: jax}
    return Figures(name, kind, "medium", seconds, {GRADIENT: 0.3 + gradient}, {GRADIENT: 1e6})


def verdicts(table):
    return {target.what: (round(target.figure, 6), target.met) for target in table.targets}


def test_targets_of_kernels():
    rows = [figures("one", LOOP, 2e-3, 20e-3), figures("two", ARRAY, 8e-3, 4e-3)]
    table = native.times("t", rows, 1e3)
    native.kernel_targets(table, rows)
    assert verdicts(table) == {
        "gradient by native primal, geometric mean of 2": (4.0, False),
        "gradient by native primal, most (two)": (8.0, False),
        "gradient by JAX's, geometric mean of 2": (round((0.1 * 2.0) ** 0.5, 6), False),
        "gradient by JAX's, 1 loops and stencils": (0.1, True),
        "gradient by JAX's, slowest (two)": (2.0, False),
    }


def test_a_slow_native_primal_does_not_flatter_its_gradient():
    row = figures("one", LOOP, 2e-3, 20e-3)
    row.seconds[NATIVE] = 2e-3
    table = native.times("t", [row], 1e3)
    native.kernel_targets(table, [row])
    assert "takes 2× in geometric mean" in table.notes[-1]


def test_what_cannot_be_compiled_is_said_and_counted():
    row = Figures(
        "one", LOOP, "medium", {PLAIN: 1e-3}, out={GRADIENT: "fails: NotNative: line 3", TORCH: "cannot"}
    )
    table = native.times("t", [row], 1e3)
    native.kernel_targets(table, [row])
    assert table.failures == ["one, native gradient: fails: NotNative: line 3"]
    assert table.notes == ["1 of 1 gradients are not compiled."]
    assert table.targets == []
    assert table.rows[0][2:6] == ["1", "-", "-", "fails"]


def test_wrong_gradients_are_seen():
    want = (2.0, (np.array([1.0, -2.0]), 3.0))
    assert measure.differs(want, want) is None
    assert measure.differs((2.0, (np.array([1.0, -2.0]), 3.000003)), want).startswith("wrong")
    assert measure.differs((2.0, (np.array([1.0, np.nan]), 3.0)), want).startswith("wrong")
    assert measure.differs((2.0, (np.array([1.0]), 3.0)), want).startswith("wrong")


def test_arguments_are_brought_back():
    kernel = measure.all_kernels()["gemm"]
    inputs = measure.Inputs(kernel, lambda: kernel.args("smoke"))
    first = kernel.plain(*inputs.args)
    assert kernel.plain(*inputs.args) != first
    inputs.reset()
    assert kernel.plain(*inputs.args) == first


def test_a_kernel_is_measured():
    kernel = measure.all_kernels()["trisolv"]
    found = measure.measure(kernel, "smoke", harness.Settings(smoke=True, peers=False))
    assert {PLAIN, PYTHON} <= found.seconds.keys()
    assert not any("wrong" in text for text in found.out.values())


def test_the_chart_is_xml_with_a_point_for_each_figure():
    rows = [figures("one", LOOP, 2e-3, 20e-3), figures("two & three", ARRAY, 8e-3, 4e-3)]
    tree = xml.fromstring(native.chart("title", rows))
    points = [node for node in tree.iter() if node.tag.endswith("circle")]
    assert len(points) == 5 + 4  # the legend's and the figures'
