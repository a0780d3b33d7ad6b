"""Usage: python -m deploy WORD [deployment.toml] [options]

  plan         shows what is there, what will be done and what it costs; changes nothing
  up           does it; a second run changes nothing, an interrupted one is taken up again
  status       the endpoint, its version, its instances, its autoscaling
  test         sends the rows of the payload and compares the answers with those of the model in model/
  measure      how much an instance carries, and what so many requests cost; puts load on the endpoint
  down         deletes everything that carries the deployment's tag
  costs        what costs money in this account and region, whoever made it
  permissions  the policies of all who take part, with account, region and names filled in
  example      a deployment.toml with every setting

  --json       the answer for other tools, on stdout; all else goes to stderr
  --set a=b    goes before what the file says; b as in TOML: --set 'image_tag="v2"' --set max_instances=4
  --report F   of `measure`: the file for its report (HTML); NAME-load.html where none is named
  --exit-code  of `plan` and `status`: 3 when something is not as the plan wants it

Exit codes:
  0  done                                      3  there is something to do (--exit-code), or other answers (test)
  1  failed; nothing that costs money is left  4  failed; what still costs money is named
  2  usage, plan or credentials are wrong    130  interrupted before anything was made
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tomllib
from pathlib import Path
from typing import Any

from loadtest import report

from . import Stop, permissions, plan
from .deployment import Deployment
from .state import State

WORDS = ("plan", "up", "status", "test", "measure", "down", "costs", "permissions", "example")
CHANGES, COSTS = 3, 4


def main(arguments: list[str] | None = None, session: Any = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy", usage=(__doc__ or "").removeprefix("Usage: "), add_help=False, allow_abbrev=False
    )
    parser.add_argument("word", choices=WORDS)
    parser.add_argument("file", nargs="?", default="deployment.toml")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--exit-code", action="store_true")
    parser.add_argument("--report", default="", metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    if arguments is None:
        arguments = sys.argv[1:]
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0 if arguments else 2
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)  # CI ends a job so: it is cleaned up as after Ctrl-C
    deployment: Deployment | None = None
    try:
        wanted = _plan(asked)
        if wanted is None:
            print(plan.example(), end="")
            return 0
        deployment = Deployment(wanted, session, _say(asked.json), f"python -m deploy down {asked.file}")
        return WORK[asked.word](deployment, asked)
    except Stop as stop:
        print(f"deploy: {stop}", file=sys.stderr)
        if deployment is None:
            return 2
        return COSTS if deployment.bill.open else 1
    except KeyboardInterrupt:
        print("deploy: interrupted before anything was made", file=sys.stderr)
        return 130


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _say(as_json: bool) -> Any:
    return lambda line: print(line, file=sys.stderr if as_json else sys.stdout, flush=True)


def _plan(asked: argparse.Namespace) -> plan.Plan | None:
    if asked.word == "example":
        return None
    more = {}
    for pair in asked.set:
        name, sign, value = pair.partition("=")
        if not sign:
            raise Stop(f"--set {pair}: expected name=value.")
        try:
            more[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            more[name.strip()] = value  # a text without quotes, which a shell takes away
    return plan.read(asked.file, **more)


def _show(asked: argparse.Namespace, data: Any, text: str) -> None:
    print(json.dumps(data, indent=2, default=str) if asked.json else text)


def _plan_word(deployment: Deployment, asked: argparse.Namespace) -> int:
    with deployment.guarded("Planning"):
        data = deployment.data()
        _show(asked, data, deployment.text())
    return CHANGES if asked.exit_code and data["changes"] else 0


def _up(deployment: Deployment, asked: argparse.Namespace) -> int:
    deployment.look()
    with deployment.guarded("Planning"):
        deployment.say(deployment.text())
    deployment.up()
    if asked.json:
        print(json.dumps({"deployment": deployment.plan.name, "outcome": "up"}))
    return 0


def _status(deployment: Deployment, asked: argparse.Namespace) -> int:
    with deployment.guarded("Looking at what is there"):
        planned = deployment.data()
        state: State = deployment.state
        rows = [
            {"endpoint": name, "status": told["EndpointStatus"], "config": told.get("EndpointConfigName"),
             "instances": sum(v.get("CurrentInstanceCount") or 0 for v in told.get("ProductionVariants", [])),
             "reason": told.get("FailureReason", ""), "tags": told["Tags"]}
            for name, told in state.endpoints.items()
        ]  # fmt: skip
        bounds = [(each["MinCapacity"], each["MaxCapacity"]) for each in state.scaling["targets"]]
        data = {"endpoints": rows, "autoscaling": bounds, "capacity": state.capacity, "changes": planned["changes"]}
        lines = [
            f"{r['endpoint']}: {r['status']}, {r['instances']} instances, {r['config']} {r['reason']}" for r in rows
        ]
        lines += [f"autoscaling: {low} to {high} instances" for low, high in bounds]
        lines.append(f"{planned['changes']} steps to what the plan wants" if planned["changes"] else "as planned")
        _show(asked, data, "\n".join(lines if rows else ["No endpoint of this plan is there.", *lines]))
    return CHANGES if asked.exit_code and planned["changes"] else 0


def _test(deployment: Deployment, asked: argparse.Namespace) -> int:
    deployment.look()
    with deployment.guarded("Testing"):
        return 0 if deployment.test() else CHANGES


def _measure(deployment: Deployment, asked: argparse.Namespace) -> int:
    path = Path(asked.report or f"{deployment.plan.name}-load.html")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise Stop(f"The report cannot be written to {path}. Choose another file: --report FILE")
    deployment.look()
    with deployment.guarded("Measuring"):
        measured = deployment.measure()
    if not measured or not deployment.report:
        return 1
    report.write(path, deployment.report.html())
    data = {**deployment.report.data(), "invocations_per_minute": deployment.state.capacity, "report": str(path)}
    _show(asked, data, f"The report, with pictures: {path}")
    return 0


def _down(deployment: Deployment, asked: argparse.Namespace) -> int:
    deployment.down()
    return 0


def costs_text(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        price = "price unknown" if row["$/hour"] is None else f"${row['$/hour']:.3g}/h"
        lines.append(f"{row['kind']} {row['name']}  {row['status']}  {row['instances']}  {price}  {row['owner']}  {row['expires']}")  # fmt: skip # noqa: E501
    return "\n".join(lines or ["No endpoint and no job is running."])


def _costs(deployment: Deployment, asked: argparse.Namespace) -> int:
    rows = deployment.costs()
    _show(asked, rows, costs_text(rows))
    return 0


def _permissions(deployment: Deployment, asked: argparse.Namespace) -> int:
    wanted, account = deployment.plan, deployment.account
    with deployment.guarded("Filling in the permissions"):
        role = wanted.role_arn or account.own_role()
        names = {"BUCKET": deployment.bucket, "IMAGE_NAME": wanted.image_name, "NAME": wanted.name, "ROLE": role}
        keys = [wanted.kms_key, wanted.volume_key]
        documents = {
            who: permissions.filled(account, who, names, keys if who in ("execution-role", "deployer") else None,
                                    bool(wanted.subnets) and who == "execution-role")
            for who in permissions.WHO
        }  # fmt: skip
        text = "\n".join(
            f"# {who}: {permissions.WHO[who][0]}\n{json.dumps(document, indent=2)}"
            for who, document in documents.items()
        )
        _show(asked, documents, text)
    return 0


WORK = {
    "plan": _plan_word, "up": _up, "status": _status, "test": _test, "measure": _measure, "down": _down,
    "costs": _costs, "permissions": _permissions,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
