"""The SageMaker SDK, version 3, with which a data scientist goes on from the notebook: its session, role and bucket.

The only room that imports it, and only when it is called: the command line needs boto3 alone. Nothing is made by the
SDK, so that the notebook and the command line make the same from the same plan.
"""

from __future__ import annotations

import logging
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop
from .account import HOW_TO_MAKE_A_ROLE, Account

NOT_HERE = (
    "The SageMaker SDK, version 3, is not in this kernel ({}). Run the cell above, which installs "
    "deploy/requirements.txt, and restart the kernel if another version was in use."
)


def session(account: Account, bucket: str) -> Any:
    """The SDK's Session in the deployment's account and region; `default_bucket()` is the deployment's bucket."""
    try:
        from sagemaker.core.helper.session_helper import Session
    except ImportError as exc:
        raise Stop(NOT_HERE.format(exc)) from None
    logging.getLogger("sagemaker.config").setLevel(logging.WARNING)  # it tells which files it does not find
    clients = {"sagemaker_client": account.client("sagemaker"),
               "sagemaker_runtime_client": account.client("sagemaker-runtime")}  # fmt: skip
    return Session(boto_session=account.session, default_bucket=bucket, **clients)


def role(of: Any) -> str:
    """The execution role of the place where the notebook runs: of Studio, of a notebook instance, or the role that you
    are. Nothing where AWS does not tell. Raises Stop when you are not a role."""
    from sagemaker.core.helper.session_helper import get_execution_role

    try:
        return str(get_execution_role(of))
    except ValueError as exc:
        raise Stop(f"No execution role: {exc}. {HOW_TO_MAKE_A_ROLE}") from None
    except (ClientError, BotoCoreError):
        return ""
