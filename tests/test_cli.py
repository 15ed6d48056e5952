"""The command line as a user sees it: what is printed, where, and the exit code."""

import subprocess
import sys

import pytest

from tapeless.cli import main

PROGRAM = """\
import numpy as np


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


def square(x):
    return x * x


def area(width, height=2.0):
    return width * height


def distance(p):
    return (p.x**2 + p.y**2) ** 0.5


def fails(x):
    if x < 0.0:
        raise ValueError("x is negative")
    return 1.0 / (x - x)


def total(a, name="t"):
    print("summing", name)
    return (a * a).sum()


def vector(x):
    return np.array([x, x])
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(PROGRAM)
    return str(path)


def run(capsys, *arguments):
    """Exit code, standard output and standard error of one command."""
    try:
        code = main(arguments)
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    return code, out, err


def test_grad_prints_the_value_and_each_derivative(capsys, program):
    code, out, err = run(capsys, "grad", f"{program}:area", "--at", "width=1.5", "height=3.0")
    assert (code, err) == (0, "")
    assert out == "value = 4.5\nd/dwidth = 3.0\nd/dheight = 1.5\n"


def test_defaults_stay_and_wrt_chooses(capsys, program):
    code, out, _ = run(capsys, "grad", f"{program}:area", "--at", "width=1.5")
    assert (code, out) == (0, "value = 3.0\nd/dwidth = 2.0\n")
    chosen = ("--at", "width=1.5", "height=3.0", "--wrt", "height")
    code, out, _ = run(capsys, "grad", f"{program}:area", *chosen)
    assert (code, out) == (0, "value = 4.5\nd/dheight = 1.5\n")


def test_arguments_may_use_numpy_and_the_names_of_the_file(capsys, program):
    code, out, _ = run(capsys, "grad", f"{program}:distance", "--at", "p=Point(3.0, 4.0)")
    assert code == 0
    assert out.startswith("value = 5.0\nd/dp = ")
    assert "0.6" in out and "0.8" in out
    code, out, _ = run(capsys, "grad", f"{program}:total", "--at", "a=np.ones(2)")
    assert (code, out.splitlines()[0]) == (0, "summing t")
    assert "array([2., 2.])" in out


def test_native_derivatives(capsys, program):
    plain = run(capsys, "grad", f"{program}:area", "--at", "width=3.0")
    assert run(capsys, "grad", f"{program}:area", "--at", "width=3.0", "--native") == plain
    code, out, _ = run(capsys, "source", f"{program}:square", "--native")
    assert code == 0 and out.startswith("def square(x):") and "return" in out


def test_source_prints_python(capsys, program):
    code, out, err = run(capsys, "source", f"{program}:square", "--at", "x=3.0")
    assert (code, err) == (0, "")
    compile(out, "<derivative>", "exec")


def test_source_assumes_a_float_and_says_so(capsys, program):
    code, out, err = run(capsys, "source", f"{program}:square")
    assert code == 0
    assert "def " in out
    assert err == "x = 1.0 is assumed: give --at x=VALUE\n"


def test_source_does_not_print_what_the_program_prints(capsys, program):
    code, out, _ = run(capsys, "source", f"{program}:total", "--at", "a=np.ones(2)")
    assert code == 0
    assert "summing t\n" not in out


def test_check_says_ok(capsys, program):
    code, out, err = run(capsys, "check", f"{program}:area", "--at", "width=1.5", "height=3.0")
    assert (code, err) == (0, "")
    assert out.startswith("ok: ")
    assert "by width, height" in out


def test_an_error_of_the_program_names_file_and_line(capsys, program):
    code, out, err = run(capsys, "grad", f"{program}:fails", "--at", "x=-1.0")
    assert (code, out) == (1, "")
    assert err == f"{program}:{line_of('raise ValueError')}: error: ValueError: x is negative\n"
    code, _, err = run(capsys, "grad", f"{program}:fails", "--at", "x=1.0")
    assert code == 1
    assert err.startswith(f"{program}:{line_of('1.0 / (x - x)')}: error: ZeroDivisionError")


def test_an_integer_argument_is_an_error_that_names_it(capsys, program):
    code, _, err = run(capsys, "grad", f"{program}:square", "--at", "x=3")
    assert code == 1
    assert "error: " in err and "TL301" in err and "x" in err


def test_an_output_that_is_not_scalar_is_an_error(capsys, program):
    code, _, err = run(capsys, "grad", f"{program}:vector", "--at", "x=3.0")
    assert code == 1
    assert "error: " in err and "TL302" in err


def test_a_syntax_error_of_the_file_names_its_line(capsys, tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("x = 1\ndef f(:\n")
    code, _, err = run(capsys, "grad", f"{path}:f", "--at", "x=1.0")
    assert code == 1
    assert err.startswith(f"{path}:2: error: SyntaxError: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required"),
        (["walk"], "invalid choice"),
        (["grad", "model.py"], "not of the form FILE.py:FUNCTION"),
        (["grad", "missing.py:f"], "there is no file missing.py"),
        (["grad", "{program}:missing"], "there is no missing in"),
        (["grad", "{program}:square"], "square needs a value for x: give --at x=VALUE"),
        (["grad", "{program}:square", "--at", "x"], "--at takes NAME=VALUE, not 'x'"),
        (["grad", "{program}:square", "--at", "x=1.0", "y=2.0"], "square has no parameter called y"),
        (["grad", "{program}:square", "--at", "x=undefined"], "--at x: 'undefined' cannot be read"),
        (["grad", "{program}:square", "--at", "x=1.0", "--wrt", "y"], "--wrt y: no argument of that name"),
    ],
)
def test_a_command_line_without_sense_exits_with_2(capsys, program, arguments, message):
    code, out, err = run(capsys, *[argument.format(program=program) for argument in arguments])
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("usage: tapeless")


def test_demo(capsys):
    code, out, err = run(capsys, "demo")
    assert (code, err) == (0, "")
    assert "def s(x" in out and "class Decay" in out and "def surprise" in out
    assert out.count("Its derivative:") == 3
    assert out.count("times the plain program") == 3
    assert out.endswith("All gradients agree with finite differences.\n")


def test_python_minus_m(program):
    command = [sys.executable, "-m", "tapeless", "grad", f"{program}:square", "--at", "x=3.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "value = 9.0\nd/dx = 6.0\n", "")


def line_of(text):
    return next(i for i, line in enumerate(PROGRAM.splitlines(), start=1) if text in line)
