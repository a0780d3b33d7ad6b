"""How everything is named and tagged, so that it is found again: names come from what a thing is, not from the clock.

The same image, model and settings give the same names, so a second run finds what the first one made.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date, timedelta
from typing import Any

from . import Stop

DEPLOYMENT, OWNER, EXPIRES = "model-server:deployment", "model-server:owner", "model-server:expires"
CAPACITY, ARTIFACT = "model-server:invocations-per-minute", "model-server:artifact"
LONGEST = 40
"""Characters of a deployment's name: SageMaker allows 63, and our suffixes need the rest."""


def deployment(wanted: str) -> str:
    """The name as SageMaker takes it: letters, digits and hyphens. `team/churn_model` becomes `team-churn-model`."""
    name = re.sub(r"[^a-zA-Z0-9]+", "-", wanted).strip("-")
    if not 1 <= len(name) <= LONGEST:
        raise Stop(f"endpoint_name {wanted!r}: expected 1 to {LONGEST} letters, digits and hyphens.")
    return name


def version(name: str, definition: Any) -> str:
    """`name` and a digest of what it names."""
    return f"{name}-{hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:10]}"


def tags(name: str, owner: str, days: int, extra: dict[str, str] | None = None) -> list[dict[str, str]]:
    """Tags for everything that is made; the expiry is what `costs` warns of and what a scheduled deletion keeps to."""
    expires = (date.today() + timedelta(days=days)).isoformat()
    ours = {DEPLOYMENT: name, OWNER: owner, EXPIRES: expires}
    return [{"Key": key, "Value": value} for key, value in {**(extra or {}), **ours}.items()]


def of(sagemaker: Any, arn: str) -> dict[str, str]:
    """The tags of a resource."""
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
