"""What POST /models may ask for: a name that every log, header and address can hold, and a directory of models."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

from ..errors import BadRequest
from ..wording import quoted

MOST_CHARACTERS = 256
EXPECTED = '{"model_name": "…", "url": "/opt/ml/models/…/model"}'


def wish(body: bytes, models_dir: Path) -> tuple[str, Path]:
    """model_name and url of a request to load; the url is a directory in `models_dir`. Raises BadRequest."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest(f"The body is not JSON. Expected: {EXPECTED}.") from None
    wished: list[str] = []
    for key in ("model_name", "url"):
        value = fields.get(key) if isinstance(fields, dict) else None
        if not isinstance(value, str) or not value:
            raise BadRequest(f"{key}: expected a text that is not empty, in {EXPECTED}.", got=value)
        wished.append(value)
    name, url = wished
    check_name(name)
    return name, _directory(url, models_dir)


def check_name(name: str) -> None:
    """Raises BadRequest for a name that a log line, a metric or an address could not show as it is."""
    if len(name) > MOST_CHARACTERS:
        raise BadRequest(f"model_name: it has {len(name)} characters, and {MOST_CHARACTERS} are the most.")
    if name in (".", ".."):
        raise BadRequest("model_name: no address can end in . or .., which name directories.", got=name)
    for place, character in enumerate(name, 1):
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            raise BadRequest(
                f"model_name: character {place} is U+{ord(character):04X}, a control character or no character at all."
            )


def _directory(url: str, models_dir: Path) -> Path:
    """As it was told, when it and all that is in it lie in `models_dir`, wherever links lead."""
    expected = f"Expected the model's directory, extracted, in {models_dir}."
    try:
        if not Path(url).is_absolute() or not Path(url).is_dir():
            raise BadRequest(f"url: {quoted(url)} is not a directory in this container. {expected}")
        root = models_dir.resolve()
        for place in (Path(url), *Path(url).rglob("*")):
            real = place.resolve()
            if not real.is_relative_to(root):
                raise BadRequest(
                    f"url: {quoted(str(place))} is outside {models_dir}, or a link that leads there. {expected}"
                )
            if not (real.is_file() or real.is_dir()):
                raise BadRequest(f"url: {quoted(str(place))} is not a file or a directory. {expected}")
    except (OSError, ValueError, RuntimeError) as exc:  # a NUL, a name that is too long, links in a circle
        raise BadRequest(f"url: {quoted(url)} cannot be read ({type(exc).__name__}). {expected}") from None
    return Path(url)
