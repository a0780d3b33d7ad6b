"""What predictor.py must look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import ModelNotUsable
from serving.models import predictor


@pytest.mark.parametrize(
    ("parameters", "takes"),
    [
        ("model, rows", False),
        ("model, rows, context", True),
        ("model, rows, context=None", True),
        ("model, rows, anything", True),
        ("model, rows, threshold=0.5", False),
        ("*arguments", False),
        ("model, rows, *, context=None", False),
    ],
)
def test_who_is_given_a_context(tmp_path: Path, parameters: str, takes: bool) -> None:
    """A third parameter that must be given, or whose name is context."""
    scope: dict = {}
    exec(f"def transformation({parameters}): ...", scope)
    assert predictor.takes_context(scope["transformation"]) is takes


@pytest.mark.parametrize("parameters", ["model", "model, rows, context, more", "model, rows, *, context"])
def test_wrong_parameters_are_named(parameters: str) -> None:
    """One, four, or one that must be named: the line says which two ways there are."""
    scope: dict = {}
    exec(f"def transformation({parameters}): ...", scope)
    with pytest.raises(ModelNotUsable) as caught:
        predictor.takes_context(scope["transformation"])
    assert f"transformation({parameters})" in str(caught.value)
    assert "transformation(model, rows)" in str(caught.value)
    assert "transformation(model, rows, context)" in str(caught.value)


def test_the_default_accept_is_what_can_be_written() -> None:
    """Each type that can be answered may be the default; another stops the start."""
    from serving import settings
    from serving.errors import SettingError
    from serving.formats import content_types

    for name in content_types.WRITABLE:
        assert settings.load({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": name}).default_accept == name
    with pytest.raises(SettingError) as caught:
        settings.load({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "image/png"})
    assert all(name in str(caught.value) for name in content_types.WRITABLE)
