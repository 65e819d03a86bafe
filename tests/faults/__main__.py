"""Runs the whole catalogue and writes docs/faults.md: `python -m tests.faults`.

With words as pytest's `-k` takes them (`python -m tests.faults files`) only those faults are run. The last result of
each is kept in out/faults.json; the page has all of them, and says which there is none of.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

TESTS = Path(__file__).parents[1]

if __name__ == "__main__":
    sys.path[:0] = [str(TESTS.parent), str(TESTS)]  # as pytest has it
    raise SystemExit(import_module("tests.faults.run").main(sys.argv[1:]))
