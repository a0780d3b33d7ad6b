"""What an error of AWS means: whose fault, whether asking again helps, and what to do. One table for every room."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, SSOError

from . import Stop

MISSING = re.compile(
    r"Could not find|NotFound|NoSuch|does not exist|RecordNotFound|ObjectNotFoundException|^404|not found", re.I
)
BUSY = re.compile(
    r"in progress|InProgress|ResourceInUse|ConflictException|ConcurrentUpdate|Cannot (update|delete)|is being|"
    r"while .*(Creating|Updating)|still (in use|used)",
    re.I,
)
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "403"}
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "InvalidClientTokenId"}
THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
UNSURE = {
    "InternalFailure",
    "InternalServerError",
    "InternalError",
    "ServiceUnavailable",
    "ServiceUnavailableException",
}
THERE = re.compile(r"already exist|AlreadyExists|AlreadyOwnedByYou|EntityAlreadyExists", re.I)
ALLOWED_BY = "deploy/permissions/deployer.json holds all that is needed (python -m deploy permissions)"


NOT_HERE = {"UnknownOperationException", "UnknownOperation", "InvalidAction"}


def not_here(exc: BaseException) -> bool:
    """The region does not have this call: then there is nothing of its kind either."""
    return code(exc) in NOT_HERE


def code(exc: BaseException) -> str:
    return str(exc.response.get("Error", {}).get("Code", "")) if isinstance(exc, ClientError) else ""


def missing(exc: BaseException) -> bool:
    """What was asked for is not there. SageMaker has no code of its own for it, only words."""
    known = code(exc) in DENIED | EXPIRED | THROTTLED
    return isinstance(exc, ClientError) and not known and bool(MISSING.search(f"{code(exc)} {exc}"))


def denied(exc: BaseException) -> bool:
    return code(exc) in DENIED


def expired(exc: BaseException) -> bool:
    return code(exc) in EXPIRED or isinstance(exc, (NoCredentialsError, SSOError))


def throttled(exc: BaseException) -> bool:
    return code(exc) in THROTTLED


def busy(exc: BaseException) -> bool:
    """It is there, but something is under way with it."""
    return isinstance(exc, ClientError) and not denied(exc) and bool(BUSY.search(f"{code(exc)} {exc}"))


def there(exc: BaseException) -> bool:
    return isinstance(exc, ClientError) and bool(THERE.search(f"{code(exc)} {exc}"))


def lost(exc: BaseException) -> bool:
    """No answer came, or AWS failed itself: the call may have been carried out or not."""
    if code(exc) in UNSURE:
        return True
    return isinstance(exc, BotoCoreError) and not expired(exc) and not isinstance(exc, NoRegionError)


def explained(exc: BaseException, doing: str = "") -> str:
    """The error in one sentence, and what to do."""
    what = f"{doing}: " if doing else ""
    if isinstance(exc, NoRegionError):
        return "No AWS region. Set region in the plan (REGION in the notebook), or AWS_DEFAULT_REGION."
    if expired(exc):
        said = exc.response["Error"].get("Message", exc) if isinstance(exc, ClientError) else exc
        return f"{what}AWS does not accept these credentials ({said}). Sign in again: aws sso login, or aws configure."
    if denied(exc):
        named = re.search(r"not authorized to perform:? ([\w:-]+)", str(exc))
        action = named[1] if named else _operation(exc)
        return f"{what}you may not {action}. Ask for this permission; {ALLOWED_BY}. AWS says: {exc}"
    if throttled(exc):
        return f"{what}AWS asks for fewer calls ({exc}). Run it again in a minute: what is there is found again."
    if lost(exc):
        return f"{what}no answer from AWS ({exc}). Check the network, and run it again: what is there is found again."
    if code(exc) == "ResourceLimitExceeded":
        return f"{what}a quota of the account is reached: {exc} Choose another instance type or ask for more."
    if "MinInstanceCount" in str(exc):
        return f"{what}{exc} Inference components cannot go down to no instance here: use serverless or async."
    if re.search(r"[Cc]apacity", str(exc)):
        return f"{what}AWS has no free instance of this type now: {exc} Name others in fallback_instance_types."
    return f"{what}{exc}"


def said(exc: BaseException, doing: str) -> str:
    """Any exception in words. One that nobody has foreseen is a fault of ours: its place is named."""
    if isinstance(exc, Stop):
        return str(exc)
    if isinstance(exc, KeyboardInterrupt):
        return f"{doing}: interrupted."
    if isinstance(exc, (ClientError, BotoCoreError)):
        return explained(exc, doing)
    at = traceback.extract_tb(exc.__traceback__)[-1]
    return f"{doing}: unforeseen {type(exc).__name__} at {Path(at.filename).name}, line {at.lineno}: {exc}"


def _operation(exc: BaseException) -> str:
    return str(getattr(exc, "operation_name", "do this"))
