"""What a reader must know to judge the figures: the machine, the versions, the sizes, how the run was made."""

from __future__ import annotations

import argparse
import datetime
import io
import os
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

import environments
from contenders import CONTENDERS

HERE = Path(__file__).resolve().parent
IN_PROCESS = {"in-process-loop": "model.predict in a loop, no server", "in-process-batches": "the same, 64 rows a call"}
IMAGES = {"ours": "bench-ours", "classic": "bench-classic"}
BASE_IMAGE = "python:3.12-slim"


def of(options: argparse.Namespace) -> dict:
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ": ?")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
    environment = {c.name: c.environment for c in CONTENDERS.values() if c.environment}
    packages = {c.package: c.environment for c in CONTENDERS.values() if c.package}
    versions = {package: environments.version(name, package) for package, name in packages.items()}
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "cpu": cpu.split(":")[1].strip(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "rounds": options.rounds,
        "seconds_per_round": options.seconds,
        "versions": {package: number for package, number in versions.items() if number},
        "environment_mb": {name: size for name, env in environment.items() if (size := environments.megabytes(env))},
        "image_mb": {name: size for name, tag in [*IMAGES.items(), ("base", BASE_IMAGE)] if (size := _image_mb(tag))},
        "titles": {name: contender.title for name, contender in CONTENDERS.items()} | IN_PROCESS,
    }


def build_images() -> None:
    """This kit's image and the classic design's, to weigh them. Without Docker there is nothing to weigh."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode:
        print("no Docker engine answers: no images are weighed")
        return
    classic = io.BytesIO()
    with tarfile.open(fileobj=classic, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(HERE / "classic", ".")
        archive.add(HERE.parent / "model/model.pkl", "model.pkl")
    for tag, where, context in (("bench-ours", str(HERE.parent), None), ("bench-classic", "-", classic.getvalue())):
        print(f"building the image {tag}", flush=True)
        done = subprocess.run(["docker", "build", "--quiet", "--tag", tag, where], input=context, capture_output=True)
        if done.returncode:
            print("  could not be built: " + (done.stderr.decode().strip().splitlines() or ["?"])[-1])


def _image_mb(tag: str) -> int | None:
    if not shutil.which("docker"):
        return None
    command = ["docker", "image", "inspect", "--format", "{{.Size}}", tag]
    done = subprocess.run(command, capture_output=True, text=True)
    return round(int(done.stdout) / 1e6) if done.returncode == 0 else None
