"""What an error of AWS means: whose fault, whether asking again helps, and what to do. One table for every room."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from botocore import exceptions
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

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
EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "TokenRefreshRequired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "RequestTimeTooSkewed",
}
NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    SSOError,
    getattr(exceptions, "LoginError", SSOError),  # older versions of boto3 have no `aws login`
)
NETWORK = (HTTPClientError, ConnectionError, IncompleteReadError)
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


REMEDIES = (
    # what AWS's code and text say, and what to do; the first that fits
    ("ResourceLimitExceeded", "A quota of the account is reached: choose another instance type, or ask for more."),
    ("MinInstanceCount", "Inference components cannot go down to no instance here: use serverless or async in modes."),
    ("[Cc]apacity", "AWS has no free instance of this type now: name others in fallback_instance_types, or try later."),
    ("enum value set.*ml[.]|[Ii]nstance ?[Tt]ype", "Choose an instance type that this region has."),
    ("KMS|kms", "kms_key and volume_key must be keys of this account and region that you and the role may use."),
    ("[Ss]ubnet|[Ss]ecurity [Gg]roup|VPC", "subnets and security_groups must be of one VPC of this region."),
    ("[Mm]odel data", "model_data must be there, in a bucket of this region, and the role must be allowed to read it."),
    ("Could not find endpoint", "Make it by `up`; in the notebook, by section 3."),
)  # fmt: skip


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
    return code(exc) in EXPIRED or isinstance(exc, NO_CREDENTIALS)


def throttled(exc: BaseException) -> bool:
    return code(exc) in THROTTLED


def busy(exc: BaseException) -> bool:
    """It is there, but something is under way with it."""
    return isinstance(exc, ClientError) and not denied(exc) and bool(BUSY.search(f"{code(exc)} {exc}"))


def there(exc: BaseException) -> bool:
    return isinstance(exc, ClientError) and bool(THERE.search(f"{code(exc)} {exc}"))


def lost(exc: BaseException) -> bool:
    """No answer came, or AWS failed itself: the call may have been carried out or not."""
    return code(exc) in UNSURE or isinstance(exc, NETWORK)


def explained(exc: BaseException, doing: str = "") -> str:
    """The error in one sentence, and what to do."""
    what = f"{doing}: " if doing else ""
    if isinstance(exc, NoRegionError):
        return "No AWS region. Set region in the plan (REGION in the notebook), or AWS_DEFAULT_REGION."
    if expired(exc):
        clock = ", and look at this machine's clock" if re.search("Signature|Skew", code(exc)) else ""
        remedy = f"Sign in again: aws sso login, or aws configure{clock}."
        return f"{what}AWS does not accept these credentials ({_words(exc)}). {remedy}"
    if denied(exc):
        named = re.search(r"not authorized to perform:? ([\w:-]+)", str(exc))
        action = named[1] if named else _operation(exc)
        return f"{what}you may not {action}. Ask for this permission; {ALLOWED_BY}. AWS says: {exc}"
    if throttled(exc):
        return f"{what}AWS asks for fewer calls ({exc}). Run it again in a minute: what is there is found again."
    if code(exc) in UNSURE:
        return f"{what}AWS itself failed ({_words(exc)}). Run it again in some minutes: what is there is found again."
    if lost(exc):
        remedy = "Check the network and the region, and run it again: what is there is found again."
        return f"{what}no answer from AWS ({exc}). {remedy}"
    for pattern, remedy in REMEDIES:
        if re.search(pattern, f"{code(exc)} {exc}"):
            return f"{what}{_words(exc).rstrip('.')}. {remedy}"
    return f"{what}{exc}"


def _words(exc: BaseException) -> str:
    """What AWS says, without the names of code and call."""
    return str(exc.response.get("Error", {}).get("Message") or exc) if isinstance(exc, ClientError) else str(exc)


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
