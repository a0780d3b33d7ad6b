"""The payload that the caller gave, and what can be made of it: one row, a thousand, 25 MB.

In CSV and JSON Lines a record is a line, so any number of rows can be made. Other types can only be padded: JSON with
white space. What cannot be made is None, and the clause that needs it does not apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice

BY_LINE = {"text/csv", "application/jsonlines", "application/x-jsonlines", "application/x-ndjson"}
MEGABYTE = 2**20


@dataclass(frozen=True)
class Payload:
    body: bytes
    content_type: str

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def by_line(self) -> bool:
        return self.media_type in BY_LINE

    @property
    def is_csv(self) -> bool:
        return self.media_type == "text/csv"

    @property
    def lines(self) -> list[bytes]:
        return self.body.splitlines()

    def rows(self, count: int) -> bytes | None:
        """That many records: the payload's own, over and over."""
        return b"".join(line + b"\n" for line in islice(cycle(self.lines), count)) if self.by_line else None

    def of_size(self, size: int) -> bytes | None:
        """At most `size` bytes, and nearly as many."""
        if self.by_line:
            block = b"".join(line + b"\n" for line in self.lines)
            whole = block * (size // len(block))
            rest = []
            left = size - len(whole)
            for line in self.lines:
                if len(line) + 1 > left:
                    break
                rest.append(line + b"\n")
                left -= len(line) + 1
            return whole + b"".join(rest)
        if self.media_type == "application/json":
            return self.body.ljust(size, b" ")
        return None


def records(reply_type: str, body: bytes) -> list[object] | None:
    """The predictions in a reply, one for each record; None when the type does not tell them apart."""
    import json

    media_type = reply_type.partition(";")[0].strip().lower()
    if media_type in BY_LINE or media_type == "text/plain":
        return list(body.splitlines())
    if media_type == "application/json":
        value = json.loads(body)
        if isinstance(value, dict):
            lists = [v for v in value.values() if isinstance(v, list)]
            value = lists[0] if len(lists) == 1 else None
        return value if isinstance(value, list) else None
    return None
