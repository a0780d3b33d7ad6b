"""What a script says when it cannot go on: the real cause, and what to do about it."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from standins import Clone

from running import free_port

DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
BASE_MISSING = "pull access denied for python, repository does not exist"
NO_PACKAGE = "ERROR: No matching distribution found for nosuch==1\nThe packages could not be installed; …"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def run(clone: Clone, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=clone.kit, env={**clone.environ, **environ}, capture_output=True, text=True, timeout=60
    )


def with_program(clone: Clone, name: str, text: str) -> None:
    program = clone.kit.parent / "bin" / name
    program.write_text(f"#!/bin/bash\n{text}\n")
    program.chmod(0o755)


def test_docker_says_itself_why_it_does_not_answer(clone: Clone) -> None:
    """A socket that one may not use is not an engine that has to be started."""
    with_program(clone, "docker", f'echo "{DENIED}" >&2; exit 1')
    done = run(clone, "./local-test/train-local.sh", "--docker")
    assert done.returncode == 1
    assert "permission denied" in done.stderr
    assert "usermod -aG docker" in done.stderr
    assert "Start Docker" not in done.stderr


def test_an_engine_that_hangs_is_said(clone: Clone) -> None:
    """Docker that answers nothing is given up."""
    with_program(clone, "docker", "sleep 60")
    lib = clone.kit / "local-test/engine.sh"
    lib.write_text(lib.read_text().replace("ATTEND_LIMIT=20", "ATTEND_LIMIT=1"))
    done = run(clone, "./local-test/train-local.sh", "--docker")
    assert (done.returncode, "nothing within 20 s" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("log", "goes_on"),
    [
        (BASE_MISSING, True),
        (NO_PACKAGE, False),
        ("check: the model cannot serve: model.pkl is empty", False),
    ],
)
def test_a_build_that_fails_for_the_models_sake_is_not_tried_again(clone: Clone, log: str, goes_on: bool) -> None:
    """What would fail natively too ends the script; what is Docker's own fault does not."""
    with_program(clone, "docker", f'[ "$1" != build ] || {{ echo "{log}"; exit 1; }}; [ "$1" = info ]')
    done = run(clone, "./local-test/train-local.sh")
    assert log.splitlines()[0].removeprefix("check: ") in done.stderr
    assert ("Running natively" in done.stderr, done.returncode) == (goes_on, 0 if goes_on else 1), done.stderr


@pytest.mark.parametrize("port", ["0", "-1", "65536", "08080", "99999999999999999999", "http", "80 80"])
def test_a_port_that_is_none_is_refused(clone: Clone, port: str) -> None:
    """Exit code 2, and the form expected."""
    for script in ("serve-local.sh", "predict.sh", "load-test.sh"):
        done = run(clone, f"./local-test/{script}", PORT=port)
        assert done.returncode == 2
        assert f"PORT={port} is not a port: a number from 1 to 65535" in done.stderr


def test_a_suggested_command_has_the_port(clone: Clone) -> None:
    """What is told to be typed can be typed as it stands."""
    with_program(clone, "curl", "exit 7")
    port = str(free_port())
    assert f"PORT={port} ./local-test/serve-local.sh" in run(clone, "./local-test/predict.sh", PORT=port).stderr


@pytest.mark.parametrize(
    "arguments", [[], ["--native"], ["--docker"], ["--docker", "some-image"]], ids=["none", "native", "docker", "image"]
)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["in the kit", "elsewhere"])
def test_a_port_that_is_taken(clone: Clone, arguments: list[str], elsewhere: bool) -> None:
    """What is proposed has a port that is free and the user's own arguments, and can be typed where the user is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        script = str(clone.kit / "local-test/serve-local.sh")
        command = ["bash", "-c", 'cd "$0" && "$@"', "/" if elsewhere else str(clone.kit), script, *arguments]
        done = run(clone, *command, PORT=port)
    assert done.returncode == 1
    proposed = shlex.split(done.stderr.strip().rpartition("Choose another: ")[2])
    name, _, other = proposed[0].partition("=")
    assert (name, other != port, other.isdigit()) == ("PORT", True, True)
    assert proposed[1:] == [script if elsewhere else "./local-test/serve-local.sh", *arguments]


def test_train_says_what_comes_next(clone: Clone) -> None:
    """With the way to run that was chosen."""
    assert run(clone, "./local-test/train-local.sh", "--native").stderr.endswith(
        "train-local.sh: next: ./local-test/serve-local.sh --native\n"
    )


def test_without_curl_it_is_curl_that_is_missing(clone: Clone) -> None:
    """Not the server."""
    programs = clone.kit.parent / "few"
    programs.mkdir()
    for name in ("bash", "env", "dirname", "basename", "cksum", "cut", "mkdir", "rm", "sed", "sleep", "readlink"):
        (programs / name).symlink_to(shutil.which(name) or "")
    done = run(clone, "./local-test/predict.sh", PATH=str(programs))
    assert (done.returncode, "curl is not installed" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--native"], "--docker, --native and --quiet are for --offline"),
        (["--offline", "a.csv", "text/csv", "more"], "at most a payload and a content type"),
        (["--offline", "no such file.csv"], "there is no file no such file.csv"),
        (["-"], "there is no file -"),
        (["--ofline"], "unknown option --ofline"),
    ],
)
def test_predict_is_told_wrongly(clone: Clone, arguments: list[str], reason: str) -> None:
    """Exit code 2, before anything is made."""
    done = run(clone, "./local-test/predict.sh", *arguments)
    assert (done.returncode, reason in done.stderr) == (2, True), done.stderr
    assert not list(clone.kit.glob(".venv*"))


def test_an_answer_ends_with_a_line_on_a_terminal_alone(clone: Clone) -> None:
    """JSON has no line end: a prompt needs one, and a file must have what was answered."""
    with_program(clone, "curl", 'while [ "$1" != --output ]; do shift; done; printf "{}" >"$2"; printf 200')
    assert run(clone, "./local-test/predict.sh").stdout == "{}"
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", 0) as terminal:
        subprocess.run(["./local-test/predict.sh"], cwd=clone.kit, env=clone.environ, stdout=theirs, check=True)
        os.close(theirs)
        assert terminal.read(100) == b"{}\r\n"


@pytest.mark.parametrize("shell", ["sh", "dash", "bash --posix"])
def test_sh_script_works(clone: Clone, shell: str) -> None:
    """`sh local-test/serve-local.sh` is the same as without sh."""
    for script in ("local-test/serve-local.sh", "local-test/load-test.sh", "build_and_push.sh"):
        done = run(clone, *shell.split(), script, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage" in done.stdout


def test_a_link_to_a_script_works(clone: Clone) -> None:
    """Absolute or relative, from any directory, also a link to a link."""
    links = clone.kit.parent / "links"
    links.mkdir()
    (links / "absolute").symlink_to(clone.kit / "local-test/train-local.sh")
    (links / "relative").symlink_to("../my kit/local-test/train-local.sh")
    (links / "second").symlink_to("relative")
    for link in links.iterdir():
        done = subprocess.run([link, "--native"], cwd="/", env=clone.environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_directory_that_is_read_only_is_said(clone: Clone) -> None:
    """Where nothing can be written, no environment can be made; root may write everywhere, so another user tries."""
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    for path in (clone.kit.parent, *clone.kit.parent.parents):
        if path.owner() == "root" and path != Path("/") and path != Path("/tmp"):
            path.chmod(0o755)
    clone.temporary.chmod(0o777)
    clone.kit.chmod(0o555)
    done = run(clone, *user, "./local-test/train-local.sh", "--native")
    assert done.returncode == 1
    assert f"{clone.kit} is read-only for you" in done.stderr


def test_a_warm_up_that_fails_ends_the_server(clone: Clone) -> None:
    """In both modes alike: a server that can never be ready is not a server."""
    answer = 'HTTP/1.1 503 Unavailable\\r\\n\\r\\n{"error": {"message": "the warm-up prediction failed: …"}}'
    serve = clone.kit / "model/serve"
    serve.write_text(
        "import os, socket\n"
        "s = socket.create_server(('127.0.0.1', int(os.environ['SAGEMAKER_BIND_TO_PORT'])))\n"
        f"while True:\n    c, _ = s.accept()\n    c.recv(999)\n    c.sendall(b'''{answer}''')\n    c.close()\n"
    )
    with_program(clone, "python3", (clone.kit.parent / "bin/python3").read_text().replace("*model/serve |", ""))
    done = run(clone, "./local-test/serve-local.sh", "--native", PORT=str(free_port()))
    assert (done.returncode, "the warm-up prediction failed" in done.stderr) == (1, True), done.stderr
    assert clone.processes() == []


def test_something_is_said_at_once_and_then_every_few_seconds(clone: Clone) -> None:
    """Without a terminal: a first line before anything long, then what is being done, and for how long by now."""
    with_program(clone, "docker", (clone.kit.parent / "bin/docker").read_text().replace("1 2 3 4;", "1 2 3 4 5 6 7 8;"))
    said = run(clone, "./local-test/train-local.sh", "--docker").stderr.splitlines()
    assert "building the image" in said[0]
    assert any("building (2 s): step " in line or "building (3 s): step " in line for line in said), said


def test_old_images_of_ours_are_removed_and_others_stay(clone: Clone) -> None:
    """What an earlier build has made and this one does not use goes, save for what has a name."""
    log = clone.kit / "local-test/test-dir/output/build.log"
    log.write_text(" ---> aaaaaaaaaaaa\n ---> bbbbbbbbbbbb\n ---> cccccccccccc\n")
    with_program(
        clone,
        "docker",
        'case "$1-$2" in build-*) echo " ---> aaaaaaaaaaaa" ;;\n'
        'image-inspect) [ "$4" = "{{len .RepoTags}}" ] || exit 0; [ "$5" = cccccccccccc ] && echo 1 || echo 0 ;;\n'
        'image-rm) echo "$3" >>"$KIT_STATE/removed" ;; esac',
    )
    assert run(clone, "./local-test/train-local.sh", "--docker").returncode == 0
    assert (clone.state / "removed").read_text() == "bbbbbbbbbbbb\n"


def test_two_clones_have_two_images(tmp_path: Path) -> None:
    """Neither serves the other's model."""
    names = {
        run(Clone(tmp_path / name), "bash", "-c", '. local-test/lib.sh; echo "$LOCAL_IMAGE"').stdout
        for name in ("one", "two")
    }
    assert len(names) == 2
