"""What the log may have of an error, and what the caller is told where values may not be shown."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from serving.errors import BadRequest, ServingError, without_values


@pytest.mark.parametrize(
    ("message", "logged"),
    [
        ("Row 3, column 'x': expected a text, got 'secret'.", "Row 3, column '...': expected a text, got '...'."),
        ('Row 12: got "it\'s secret".', "Row 12: got '...'."),
        ("Row 1: expected a text, got 4111111111111111.", "Row 1: expected a text, got #."),
        ("Row 2 has 5 values; expected 4 columns.", "Row 2 has 5 values; expected 4 columns."),
        ("Row 1, column 'a': 1e400 is too large.", "Row 1, column '...': # is too large."),
        ("The model's column is not there.", "The model's column is not there."),
        ("Row 1 is ['a', 'b', 'cut of", "Row 1 is ['...', '...', '..."),
        ("got b'\\xff\\x00'", "got '...'"),
        ("got 'it\\'s'. Send a number.", "got '...'. Send a number."),
        ("-12.5 and +1,000.25 and 1e-9", "# and # and #"),
        ("Größe\n{", "Gr??e?{"),
    ],
)  # fmt: skip
def test_a_message_without_values(message: str, logged: str) -> None:
    """Quoted text and numbers that count nothing are left out; the rest says what was wrong."""
    text = without_values(message)
    assert "secret" not in text
    assert text.rstrip("'") == logged.rstrip("'")


@pytest.fixture
def silent() -> Iterator[None]:
    ServingError.echoes_values = False
    yield
    ServingError.echoes_values = True


def test_values_are_not_echoed_where_they_may_not_be(silent: None) -> None:
    """MODEL_SERVER_ECHO_VALUES=off: neither in the message nor beside it."""
    refused = BadRequest("Row 1, column 'a': got 'secret'.", row=1, column="a", got="secret", expected="a number")
    body = refused.body("id")
    assert b"secret" not in body
    assert json.loads(body)["error"]["row"] == 1
    assert json.loads(body)["error"]["expected"] == "a number"


@pytest.mark.parametrize("text", ["… Größe 模型 👩‍🔬", "\x9b2J", "\u2028", "\ud800x", "\x7f", '"\\\n\x1b'], ids=ascii)
def test_a_message_is_readable_json(text: str) -> None:
    """Letters of all scripts as they are; what would steer a terminal, or is half a character, as an escape."""
    body = BadRequest(text, got=text).body().decode()
    assert json.loads(body)["error"] == {"code": "bad_request", "message": text, "got": text}
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c == "\u2028" for c in body)
    assert "\\u2026" not in body
