"""A log line is one line of text, whatever is in it."""

from __future__ import annotations

import logging
import sys

import pytest

from serving.monitoring.logs import Formatter, escaped

NASTY = ['a\n{"_aws": {}}', "\x1b[31mred", "a\rb", "\0", "\x85b", "\u2028{", "\ud800", "\x9b2J", "\x7f"]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_no_text_breaks_a_line(text: str) -> None:
    """In the message, in an argument, and in an exception's text: each line begins as ours do, and can be written."""
    try:
        raise ValueError(text)
    except ValueError:
        caught = sys.exc_info()
    record = logging.LogRecord("name", logging.ERROR, __file__, 1, "model %s" + text, (text,), caught)
    lines = Formatter().format(record).encode().decode().splitlines()
    assert lines[0].startswith("ERROR name: model ")
    assert len(lines) > 3
    assert all(line.startswith("  | ") for line in lines[1:])
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for line in lines for c in line)


def test_what_is_readable_stays() -> None:
    """Letters of all scripts, and tabs."""
    assert escaped("Größe\t模型 …") == "Größe\t模型 …"
