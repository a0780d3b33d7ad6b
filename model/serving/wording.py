"""Messages say where they hold what others have written, so that it can be left out where values may not be shown.

Whoever makes a message marks what it has of a request, or of an exception that may quote one, by `quoted` or
`verbatim`. All else in it is fixed text, of the code or of the model, which a log may have as it is.
"""

from __future__ import annotations

import re

BEGIN, END = "\ue000", "\ue001"
"""Around what others have written; characters of no script, which repr() writes as escapes."""
MARKED = re.compile(f"{BEGIN}[^{END}]*{END}?")


def quoted(of_request: object, most: int = 80) -> str:
    """A value of the request, as Python writes it."""
    return verbatim(repr(of_request), most)


def verbatim(text: str, most: int = 200) -> str:
    """Words of the request, or of somebody else's exception."""
    return f"{BEGIN}{shown(text[:most])}{END}"


def shown(message: str) -> str:
    """The message as its caller has it."""
    return message.translate({ord(BEGIN): None, ord(END): None})


def quiet(message: str) -> str:
    """The message as a log may have it: without what others have written. One line of ASCII."""
    return re.sub(r"[^ -~]", "?", MARKED.sub("'...'", message))[:300]
