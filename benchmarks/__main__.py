"""`python -m benchmarks`: run them, print the tables, say which targets are met."""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

from benchmarks import harness

NAMES = (
    "scalars", "lstm", "solve_ivp", "dispatch", "first_call", "jit_call", "memory", "gradbench", "native",
    "threads",
)  # fmt: skip
ASKED = ("gradbench_peers",)  # only where named: they need what the repository does not hold


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = f"of {', '.join(NAMES)} (all by default), {', '.join(ASKED)}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=known)
    parser.add_argument("--smoke", action="store_true", help="a quick run, to show that everything works")
    parser.add_argument("--no-peers", action="store_true", help="without the other tools")
    parser.add_argument("--gradbench", metavar="FOLDER", type=Path, help="a checkout, for gradbench_peers")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to FILE")
    parser.add_argument("--write", metavar="FILE", type=Path, help="write the report as markdown to FILE")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES + ASKED]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are {', '.join(NAMES + ASKED)}")
    settings = harness.Settings(options.smoke, not options.no_peers, options.gradbench)

    for name, value in harness.machine().items():
        print(f"{name}: {value}")
    tables = []
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    for name in options.names or NAMES:
        if processors:  # XLA takes all there are, whatever its flags say
            os.sched_setaffinity(0, processors if name == "threads" else {min(processors)})
        for table in importlib.import_module(f"benchmarks.{name}").run(settings):
            harness.show(table)
            sys.stdout.flush()
            tables.append(table)
    if options.json:
        options.json.write_text(json.dumps(harness.as_json(tables), indent=1) + "\n", encoding="utf-8")
    if options.write:
        report = harness.markdown(tables, options.names, str(options.write))
        options.write.write_text(report, encoding="utf-8")
        for table in tables:
            if table.plot:
                options.write.with_name(table.plot_name).write_text(table.plot, encoding="utf-8")
    missed = [target for table in tables for target in table.targets if not target.met]
    failed = [text for table in tables for text in table.failures]
    print(f"\n{len(missed)} targets missed, {len(failed)} programs failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
