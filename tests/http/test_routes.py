"""Which address asks for predictions, and whose name a request may call this machine by."""

from __future__ import annotations

import pytest

from serving.errors import MisdirectedRequest
from serving.http.routes import Routes


def predict(request: object, done: object) -> None:
    """Stands for the engine."""


@pytest.mark.parametrize(
    ("path", "asks"), [("/invocations", True), ("/invocations/", True), ("/invocations/x", False), ("/", False)]
)
def test_a_slash_at_the_end_changes_nothing(path: str, asks: bool) -> None:
    """As for the other addresses, which Flask knows with and without."""
    assert (Routes(predict).predicting(path) is predict) is asks


@pytest.mark.parametrize("host", ["localhost", "x", "model-server:8080", "127.0.0.1:8080", "[::1]", None])
def test_names_that_only_this_network_knows_are_answered(host: str | None) -> None:
    """A page in a browser can make a name with a dot lead here, but not one without."""
    Routes(predict, local_only=True).check_host(host)


@pytest.mark.parametrize("host", ["example.com", "x.y:80", "127.0.0.2", "[::2]", "a b", ""])
def test_other_names_are_refused(host: str) -> None:
    """Where only this machine is to be answered."""
    with pytest.raises(MisdirectedRequest):
        Routes(predict, local_only=True).check_host(host)
