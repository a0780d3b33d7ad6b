"""What POST /models may ask for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from serving.errors import BadRequest
from serving.multi_model.wishes import check_name, wish


def asked(url: object, models_dir: Path, name: str = "a") -> Path:
    return wish(json.dumps({"model_name": name, "url": str(url)}).encode(), models_dir)[1]


@pytest.mark.parametrize("name", ["a", "a/b", "Größe 模型", "a" * 256, "100%", "…", "a b", "'\"\\{}", "👩‍🔬"])
def test_any_text_of_one_line_is_a_name(name: str) -> None:
    """Up to 256 characters of any script."""
    check_name(name)


@pytest.mark.parametrize(
    "name", ["a" * 257, ".", "..", *(f"a{c}b" for c in "\0\n\r\t\x1b\x7f\x85\u2028\u2029\ud800\udfff")]
)
def test_what_a_log_line_or_a_metric_could_not_hold_is_refused(name: str) -> None:
    """Control characters, line separators and halves of characters; the message does not repeat them."""
    with pytest.raises(BadRequest) as refused:
        check_name(name)
    refused.value.message.encode("ascii")
    assert "\n" not in refused.value.message


def test_a_directory_inside_is_taken_as_it_was_told(tmp_path: Path) -> None:
    """Links within are followed."""
    (tmp_path / "models/x/model").mkdir(parents=True)
    (tmp_path / "models/x/model/model.pkl").write_bytes(b"")
    (tmp_path / "models/y").symlink_to("x")
    assert asked(tmp_path / "models/y/model", tmp_path / "models") == tmp_path / "models/y/model"


@pytest.mark.parametrize("kind", ["above", "link", "linked file", "fifo", "device", "loop", "file", "long", "sibling"])
def test_what_is_outside_or_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    """Wherever links lead, and without opening anything: a FIFO would wait for ever."""
    models, outside = tmp_path / "models", tmp_path / "models-of-others"
    (models / "x").mkdir(parents=True)
    outside.mkdir()
    url = models / "x"
    match kind:
        case "above":
            url = models / "x/../../models-of-others"
        case "sibling":
            url = outside
        case "link":
            (models / "z").symlink_to(outside)
            url = models / "z"
        case "linked file":
            (url / "model.pkl").symlink_to("/etc/passwd")
        case "fifo":
            os.mkfifo(url / "model.pkl")
        case "device":
            (url / "model.pkl").symlink_to("/dev/zero")
        case "loop":
            (url / "model.pkl").symlink_to("model.pkl")
        case "file":
            url = models / "x/model.pkl"
            url.write_bytes(b"")
        case "long":
            url = models / ("x" * 5000)
    with pytest.raises(BadRequest, match="Expected the model's directory"):
        asked(url, models)
