"""How a log line looks, everywhere. What comes from a caller or a model cannot begin a line, or steer a terminal.

Control characters are written as escapes, and each line of a traceback is behind a bar. CloudWatch reads lines: one
that begins with a brace would be a metric.
"""

from __future__ import annotations

import logging
import re

CONTROL = re.compile("[\0-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def escaped(text: str) -> str:
    """One line, whatever it was; a tab stays."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


class Formatter(logging.Formatter):
    """`%(levelname)s %(name)s: %(message)s`, or another form."""

    def __init__(self, form: str = "%(levelname)s %(name)s: %(message)s") -> None:
        super().__init__(form)

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        line = escaped(self.formatMessage(record))
        below = [self.formatException(record.exc_info)] if record.exc_info else []
        if record.stack_info:
            below.append(self.formatStack(record.stack_info))
        return "".join([line, *(f"\n  | {escaped(each)}" for text in below for each in text.split("\n"))])


def configure(level: str, form: str | None = None) -> None:
    """The root logger writes to standard error in this form."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter(form) if form else Formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
