"""`predict`: rows from a file or from standard input, predictions to standard output, without a server.

The input may have any size: it is read, predicted and answered block by block (predicting.py). What the server would
answer to it as a request is what is written; what the server would refuse ends it, in the server's own words.
"""

from __future__ import annotations

import argparse
import os
import sys

from .. import settings
from ..errors import SettingError

EXIT_CODES = """\
MODEL_SERVER_BAD_RECORDS=mark puts a mark in the place of a bad record, as a transform job does.

exit codes: 0 all rows are predicted, 1 the model cannot serve or the input is refused, 2 wrong usage or a wrong
setting, 130 Ctrl-C, 141 nobody reads the answers any more
"""
TYPE_RULE = (
    "what the rows are, such as text/csv. Else the file's name tells it, else its first bytes do: NumPy, Parquet, "
    "RecordIO and gzip by their marks, JSON by [ or {; all else is CSV"
)


def main(arguments: list[str]) -> int:
    asked = _parser().parse_args(arguments)
    try:
        config = settings.load()
    except SettingError as exc:
        print(f"predict: wrong setting: {exc}", file=sys.stderr)
        return 2
    for name in settings.THREADS:  # before NumPy is imported: sums of BLAS depend on it, and answers are the server's
        os.environ.setdefault(name, str(config.threads))
    from . import predicting

    return predicting.run(asked, config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "predict",
        description="Predicts rows of any number without a server: docker run -i IMAGE predict < rows.csv > answers",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="the rows; - or none: standard input")
    parser.add_argument("--content-type", metavar="TYPE", help=TYPE_RULE)
    parser.add_argument("--accept", metavar="TYPE", help="type of the answers; else as the server chooses it")
    parser.add_argument(
        "--size", type=int, metavar="BYTES", help="of the input, for the progress, where a pipe hides it"
    )
    parser.add_argument("--quiet", action="store_true", help="tell no progress")
    return parser
