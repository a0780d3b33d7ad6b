"""The image's entrypoint: `docker run IMAGE serve` and `docker run IMAGE train`, as SageMaker calls them."""

import signal
import sys

if sys.argv[1:] == ["serve"]:  # a signal that comes while the rest is imported waits for the supervisor
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})

USAGE = """\
usage: docker run IMAGE serve     answer /ping and /invocations on port 8080
       docker run IMAGE train     copy the model to /opt/ml/model
       docker run -i IMAGE predict < rows.csv > answers.csv
                                  predict without a server, files of any size; `predict --help` tells more
       docker run IMAGE check     load the model, predict a sample row, and say what would be served
       docker run IMAGE compile   make the model's program (model.compiled.npz), with which the server starts at once
To run another program: docker run --entrypoint PROGRAM IMAGE …"""


def main(arguments: list[str]) -> int:
    match arguments:
        case ["serve"]:
            from .commands.serve import main as run
        case ["train"]:
            from .commands.train import main as run
        case ["predict", *rest]:
            from .commands.predict import main as predict

            return predict(rest)
        case ["check"]:
            from .commands.check import main as run
        case ["compile"]:
            from .commands.compile import main as run
        case ["-h" | "--help" | "help"]:
            print(USAGE)
            return 0
        case _:
            seen = f"unknown argument: {' '.join(arguments)}\n" if arguments else "no argument\n"
            print(seen + USAGE, file=sys.stderr)
            return 2
    return run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
