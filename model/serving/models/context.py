"""What a transformation that declares a third parameter, `context`, knows of its request, and may say in the reply."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..errors import ModelFailed
from ..wording import verbatim

VISIBLE_ASCII = re.compile(r"[ -~]{0,1024}")
"""What SageMaker hands to the caller. https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html"""


@dataclass(frozen=True, slots=True)
class Context:
    """A request, as its headers describe it; None is what was not sent."""

    request_id: str = ""
    inference_id: str | None = None
    custom_attributes: str | None = None
    content_type: str | None = None
    accept: str | None = None
    reply_headers: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def set_custom_attributes(self, text: str) -> None:
        """X-Amzn-SageMaker-Custom-Attributes of the reply. A generator sets them before its first item."""
        if not isinstance(text, str) or not VISIBLE_ASCII.fullmatch(text):
            seen = f"{len(text)} characters, {text[:60]!a}" if isinstance(text, str) else type(text).__name__
            raise ModelFailed(
                "set_custom_attributes takes at most 1024 visible ASCII characters; transformation gave "
                f"{verbatim(seen)}."
            )
        self.reply_headers["X-Amzn-SageMaker-Custom-Attributes"] = text
