"""A copy of the kit whose programs (docker, python, uv, curl, aws) are stand-ins: slow enough to be interrupted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

from running import KIT

SCRIPTS = ["local-test", "loadtest", "push", "model", "build_and_push.sh", "Dockerfile"]
SCRIPTS += ["tests/conformance/requirements.lock"]

DOCKER = """\
#!/bin/bash
# The engine's containers are files in $KIT_STATE; a build takes 2 s, a server lives until it is ended.
name() { while [ $# -gt 0 ]; do [ "$1" != --name ] || { echo "$2"; return; }; shift; done; }
case "$1" in
  info) sleep 0.2 ;;
  image) [ "$3" = some-image ] ;;
  build) for step in 1 2 3 4; do echo "Step $step/4 : RUN something"; sleep 0.5; done ;;
  rm) rm -f "$KIT_STATE/$3"; sleep 0.1 ;;
  run)
    container="$KIT_STATE/$(name "$@")"
    sleep 0.1
    touch "$container"
    trap 'rm -f "$container"; exit 0' TERM
    for tenth in $(seq 20); do sleep 0.1; done
    rm -f "$container"
    ;;
esac
"""

PYTHON = f"""\
#!/bin/bash
# A Python that makes an environment in 0.5 s, which then installs in 2 s, trains and serves.
case "$*" in
  "-m venv "*)
    mkdir -p "$3/bin"
    sleep 0.5
    cp "$0" "$3/bin/python"
    ;;
  *serving/install.py*) for package in 1 2 3 4 5 6 7 8 9; do echo "package $package of 9: name"; sleep 0.2; done ;;
  *model/train)
    trap 'exit 143' TERM
    touch "$SAGEMAKER_BASE_DIR/model/.model.pkl.partial"
    for tenth in $(seq 10); do sleep 0.1; done
    rm "$SAGEMAKER_BASE_DIR/model/.model.pkl.partial"
    ;;
  *model/serve | *'-m pytest'* | *'-m serving predict'*) for tenth in $(seq 20); do sleep 0.1; done ;;
  *compiler/build.py*) sleep 0.2 ;;
  *) exec {sys.executable} "$@" ;;
esac
"""

SLOW = "#!/bin/bash\nfor tenth in $(seq 40); do sleep 0.1; done\n"
"""It takes longer than the last moment of a test that interrupts it."""


class Clone:
    """The kit in `directory`, with stand-ins first on the PATH. `mark` is in the environment of all that it starts."""

    def __init__(self, directory: Path) -> None:
        self.kit, self.state, self.temporary = directory / "my kit", directory / "state", directory / "tmp"
        programs = directory / "bin"
        for made in (self.kit / "tests/conformance", self.state, self.temporary, programs):
            made.mkdir(parents=True)
        for name in SCRIPTS:
            source = KIT / name
            if source.is_dir():
                shutil.copytree(source, self.kit / name, ignore=shutil.ignore_patterns("__pycache__", "build.log*"))
            else:
                shutil.copy2(source, self.kit / name)
        for name, text in {"docker": DOCKER, "python3": PYTHON, "uv": SLOW, "curl": SLOW}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.mark = uuid.uuid4().hex
        path = f"{programs}:{os.environ['PATH']}"
        self.environ = {
            **{name: value for name, value in os.environ.items() if name not in ("PYTHON", "VIRTUAL_ENV")},
            **{
                "PATH": path,
                "TMPDIR": str(self.temporary),
                "KIT_STATE": str(self.state),
                "KIT_MARK": self.mark,
                "UV": "no",
            },
        }

    def start(self, *command: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=self.kit, env={**self.environ, **environ}, start_new_session=True, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def files(self) -> set[str]:
        """All that is in the directory now, save for complete environments and the log of the last build."""
        found = {str(path.relative_to(self.kit.parent)) for path in self.kit.parent.rglob("*")}
        whole = [f"my kit/{path.parent.name}" for path in self.kit.glob(".venv*/installed")]
        return {name for name in found if not name.startswith((*whole, "my kit/local-test/test-dir/output/build.log"))}

    def processes(self) -> list[str]:
        """What still runs of all that was started."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"KIT_MARK={self.mark}".encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:  # it has ended meanwhile
                continue
        return [line for line in found if line]
