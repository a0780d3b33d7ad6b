"""GET /: the page to try the model, for this machine alone.

It is one file. Its policy lets a browser run the one script and the one style that are in it, ask this server, and
nothing else: no other site is loaded from, asked, or let to show it in a frame.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

PAGE = Path(__file__).with_name("try_page.html")
PATHS = ("/", "/openapi.json")
"""Where the page and what it reads are offered."""
PRIVATE = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
"""Another server may have the same port tomorrow; and what a file is, it says itself."""


def load() -> tuple[bytes, list[tuple[str, str]]]:
    """The page and its headers."""
    page = PAGE.read_bytes()
    policy = (
        f"default-src 'none'; script-src {_hash(page, b'script')}; style-src {_hash(page, b'style')}; "
        "connect-src 'self'; img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy)]
    return page, [*headers, ("Referrer-Policy", "no-referrer"), *PRIVATE]


def _hash(page: bytes, tag: bytes) -> str:
    """Of what is between the tags, as a policy names it."""
    [text] = re.findall(rb"<%s>(.*?)</%s>" % (tag, tag), page, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
