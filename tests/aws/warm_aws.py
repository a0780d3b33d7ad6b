"""The AWS CLI, started once: a process that has imported it forks for each call, which saves half a second a call.

`python warm_aws.py SOCKET` is that process. `client(socket)` is the text of an `aws` program that hands its arguments,
environment, directory and open files over, and ends with the status that comes back.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


def client(address: Path) -> str:
    return f"""#!{sys.executable} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as call:
    call.connect({str(address)!r})
    socket.send_fds(call, [b"!"], [0, 1, 2])
    call.sendall(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode())
    call.shutdown(socket.SHUT_WR)
    sys.exit(int(call.recv(8) or b"1"))
"""


def serve(address: str) -> None:
    from awscli.clidriver import create_clidriver

    # What costs the time: the imports, and the descriptions of the services, which the driver keeps.
    driver = create_clidriver()
    for service in ("sts", "ecr", "s3", "iam", "codebuild", "logs"):
        driver.session.create_client(service, "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        while True:
            call, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                answer(call, driver.main)
            call.close()


def answer(call: socket.socket, main: Callable[[list[str]], int]) -> None:
    """In a process of its own: be the program that was called."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, _, _ = socket.recv_fds(call, 1, 3)
    text = b"".join(iter(lambda: call.recv(65536), b""))
    arguments, environment, directory = json.loads(text)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    data_path = os.environ["AWS_DATA_PATH"]  # set by the import
    os.environ.clear()
    os.environ.update(environment, AWS_DATA_PATH=data_path)
    os.chdir(directory)
    status = 1
    try:
        status = main(arguments)
    except SystemExit as ending:
        status = ending.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        call.sendall(str(status).encode())
        os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
