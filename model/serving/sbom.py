"""Writes what is installed below a directory as a CycloneDX document. Standard library only; the Dockerfile runs it.

python -P serving/sbom.py /packages sbom.json
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path


def document(prefix: Path) -> dict[str, object]:
    """The packages in `prefix`/lib/python3.*/site-packages, by name."""
    places = [str(place) for place in prefix.glob("lib/python3*/site-packages")]
    found = {
        one.metadata["Name"].lower().replace("_", "-"): one for one in importlib.metadata.distributions(path=places)
    }
    components = []
    for name, one in sorted(found.items()):
        component: dict[str, object] = {
            "type": "library",
            "name": name,
            "version": one.version,
            "purl": f"pkg:pypi/{name}@{one.version}",
        }
        licenses = [{"expression": text} for text in one.metadata.get_all("License-Expression") or []]
        components.append(component | ({"licenses": licenses} if licenses else {}))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(document(Path(sys.argv[1])), indent=1) + "\n")
