"""Writes docs/what-works.md from the tests: a row for each file of them, in the words of its docstring.

    python docs/what_works.py            # write it
    python docs/what_works.py --check    # fail if it is out of date
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "what-works.md"
SECTIONS = [
    ("The language", "tests/language", "Each in value, output, mutations, both modes and second order."),
    ("Whole programs", "tests/programs", "Written as their authors would, differentiated in both modes."),
]
TABLES = [
    ("The standard library", "tests/third_party/test_scientific.py", ["STANDARD_LIBRARY"]),
    ("NumPy's functions written in Python", "tests/third_party/test_scientific.py", ["NUMPY"]),
    ("SciPy's Python", "tests/third_party/test_scientific.py", ["SCIPY"]),
    ("SciPy's integrals, roots, minima and fits", "tests/rules/test_twins.py", ["CASES"]),
    ("SciPy's matrices", "tests/rules/test_matrices.py", ["CASES"]),
    ("SciPy's sparse matrices", "tests/rules/test_sparse_matrices.py", ["CASES"]),
    ("SciPy's splines and grids", "tests/rules/test_splines.py", ["CASES"]),
    ("SciPy's filters", "tests/rules/test_filters.py", ["IMAGES", "SIGNALS"]),
    ("SciPy's distributions", "tests/rules/test_distributions.py", ["CONTINUOUS"]),
    ("SciPy's rotations", "tests/rules/test_rotations.py", ["CASES"]),
    ("Geodesy", "tests/third_party/test_packages.py", ["GEODESY"]),
    ("Rotations", "tests/third_party/test_packages.py", ["ROTATIONS"]),
    ("Filters", "tests/third_party/test_packages.py", ["FILTERS"]),
    ("Colour", "tests/third_party/test_packages.py", ["COLOUR"]),
    ("Finance", "tests/third_party/test_packages.py", ["FINANCE"]),
    ("Thermodynamics and fluids", "tests/third_party/test_packages.py", ["PHYSICS"]),
    ("Astronomy", "tests/third_party/test_packages.py", ["ASTRONOMY"]),
    ("Mathematics and units", "tests/third_party/test_packages.py", ["MATHEMATICS"]),
]


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(f"{PAGE.relative_to(ROOT)} is out of date: run python docs/what_works.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    lines = [
        "# What works",
        "",
        "This page is written from the tests by `docs/what_works.py`: what stands here is run, and",
        "compared with finite differences, before each release.",
        "",
    ]
    for title, folder, about in SECTIONS:
        lines += [f"## {title}", "", about, "", "| | Tested |", "| --- | --- |"]
        for path in sorted((ROOT / folder).glob("test_*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            name, tested = described(tree, path)
            lines.append(f"| {name} | {tested} |")
        lines.append("")
    lines += ["## Other people's code", "", "Called as it is, opened through its own source.", ""]
    lines += ["| | Functions |", "| --- | --- |"]
    for title, file, names in TABLES:
        cases = [name for table in names for name in case_names(ROOT / file, table)]
        lines.append(f"| {title} | {', '.join(cases)} |")
    return "\n".join(lines) + "\n"


def described(tree: ast.Module, path: Path) -> tuple[str, str]:
    """The subject of a file of tests and what it covers: its docstring, split at the colon."""
    subject = path.stem.removeprefix("test_").replace("_", " ").capitalize()
    text = " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
    before, colon, after = text.partition(":")
    name, tested = (before, after) if colon else (subject, text)
    return name.strip().rstrip("."), tested.strip().rstrip(".").replace("|", "\\|")


def case_names(path: Path, table: str) -> list[str]:
    """The first entry of each row of a table of tests, read without importing anything."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == table for target in targets):
            assert isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.List)
            return [found for row in node.value.elts for found in first_text(row)]
    raise LookupError(f"{path} has no table {table}")


def first_text(row: ast.expr) -> list[str]:
    if isinstance(row, ast.Tuple) and isinstance(row.elts[0], ast.Constant):
        return [str(row.elts[0].value)]
    if isinstance(row, ast.Starred) and isinstance(row.value, ast.ListComp):
        element = row.value.elt
        assert isinstance(element, ast.Tuple)
        if isinstance(element.elts[0], ast.Name):  # what the rows are made for, one by one
            names = row.value.generators[0].iter
            return [str(n.value) for n in getattr(names, "elts", ()) if isinstance(n, ast.Constant)]
        assert isinstance(element.elts[0], ast.JoinedStr)
        parts = element.elts[0].values
        return ["".join(p.value if isinstance(p, ast.Constant) else "…" for p in parts)]
    return []


if __name__ == "__main__":
    sys.exit(main())
