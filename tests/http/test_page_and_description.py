"""The page to try the model: one file, whose policy lets it do what it does and nothing else."""

from __future__ import annotations

import base64
import hashlib
import re

from serving.http import try_page

TEXT = try_page.PAGE.read_text()


def test_the_policy_names_the_script_and_the_style() -> None:
    """By their hashes, as a browser computes them; nothing that stands elsewhere in the page may run."""
    page, headers = try_page.load()
    policy = dict(headers)["Content-Security-Policy"]
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        inner = page.decode().partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert not re.search(r"<[^>]*\s(style|on\w+)=", TEXT.partition("<script>")[0])


def test_nothing_is_loaded_from_elsewhere() -> None:
    """No address of another machine, nothing imported; texts of others become text and never markup."""
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(|<link rel=.?stylesheet|\bimport\(", TEXT)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", TEXT)
