"""`python -m train.anomaly`: results of the anomaly protocols into a page."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from stream.commands.outputs import replace_file
from stream.errors import PosewireError
from train.anomaly.table import into, tables


def main() -> None:
    """Write the tables of some results into a page."""
    parser = argparse.ArgumentParser(prog="python -m train.anomaly", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULT.json", help="of posewire eval anomaly")
    parser.add_argument("--into", type=Path, required=True, metavar="PAGE.md", help="with the marks of tables in it")
    told = parser.parse_args()
    try:
        made = tables([json.loads(path.read_text(encoding="utf-8")) for path in told.results])
        replace_file(told.into, into(told.into.read_text(encoding="utf-8"), made).encode())
    except (OSError, ValueError, KeyError, PosewireError) as error:
        sys.exit(f"python -m train.anomaly: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
