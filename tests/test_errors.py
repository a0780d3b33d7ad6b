"""What the log may have of an error, and what the caller is told where values may not be shown."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

import pytest

from running import KIT
from serving import errors
from serving.errors import BadRequest, ServingError
from serving.wording import quoted, verbatim

MARKS = "\ue000\ue001"
QUOTED_MARK = f"a{MARKS}b"


@pytest.mark.parametrize(
    ("message", "logged"),
    [
        (f"Row 3, column 'x': no text, but {quoted('secret')}.", "Row 3, column 'x': no text, but '...'."),
        (f"Row 1: expected a date such as 2024-05-31, got {quoted(4111)}.",
         "Row 1: expected a date such as 2024-05-31, got '...'."),
        ("Send HTTP/1.1 to 127.0.0.1 as windows-1252.", "Send HTTP/1.1 to 127.0.0.1 as windows-1252."),
        (f"The request has: {verbatim('5.1, secret')}. 4 are known.", "The request has: '...'. 4 are known."),
        (f"got {quoted(QUOTED_MARK)}, {verbatim(MARKS)}", "got '...', '...'"),
        ("Größe\n{", "Gr??e?{"),
        ("4" * 400, "4" * 300),
    ],
    ids=["a text", "a number", "fixed digits", "several", "marks of its own", "no ASCII", "long"],
)  # fmt: skip
def test_a_message_for_the_log(message: str, logged: str) -> None:
    """Values of the request are left out, and nothing else is: what is fixed keeps its digits and its quotes."""
    assert BadRequest(message).quiet == logged
    assert not set(MARKS) & set(BadRequest(message).message)


def test_a_message_for_the_caller() -> None:
    """It has the values as they are, cut to a length, and no trace of the marks."""
    refused = BadRequest(f"got {quoted('x' * 100, 5)}, {verbatim('5.1')}.")
    refused.add("Send a number.")
    assert refused.message == "got 'xxxx, 5.1. Send a number."
    assert refused.quiet == "got '...', '...'. Send a number."


def messages() -> Iterator[tuple[str, ast.expr]]:
    """Where an error of the server is made, and its message."""
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    names = {name for name, kind in kinds.items() if issubclass(kind, ServingError)}
    for path in sorted((KIT / "model/serving").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names and node.args:
                yield f"{path.name}, line {node.lineno}", node.args[0]


def test_every_value_in_a_message_is_marked() -> None:
    """What is written by repr() comes from the request, save for the model's own columns, which are called `name`."""
    found = list(messages())
    assert len(found) > 60
    for place, message in found:
        for node in ast.walk(message):
            if isinstance(node, ast.FormattedValue) and node.conversion != -1:
                assert ast.unparse(node.value) in ("name", "same[:80]"), f"{place}: {ast.unparse(node)}"


@pytest.fixture
def silent() -> Iterator[None]:
    ServingError.echoes_values = False
    yield
    ServingError.echoes_values = True


def test_values_are_not_echoed_where_they_may_not_be(silent: None) -> None:
    """MODEL_SERVER_ECHO_VALUES=off: neither in the message nor beside it."""
    message = f"Row 1, column 'a': got {quoted('secret')}."
    refused = BadRequest(message, row=1, column="a", got="secret", expected="a number")
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
