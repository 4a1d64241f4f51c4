"""What can go wrong between us and the API server, in our own words.

Nothing of the client library, of urllib3 or of the socket layer leaves this folder: callers see one
of these, each with a reason that is one line for people. "It does not exist" is an answer, not an
error, and has no place here.
"""

from http.client import HTTPException, IncompleteRead
from ssl import SSLCertVerificationError

import msgspec

from webhook.cluster.paths import resource_of


class ClusterConfigError(Exception):
    """Where the cluster is, or who we are to it, could not be found out."""


class ClusterUnavailable(Exception):
    """The API server gave no usable answer."""

    def __init__(self, reason: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        """One line, for people."""
        self.status = status
        """The HTTP status, or the code of a Status in a stream; 0 when there was no answer."""
        self.retry_after = retry_after
        """Seconds that the server asked us to wait; None when it did not say."""


class ClusterTimeout(ClusterUnavailable):
    """No answer, or not all of it, in the time that was given."""


class Unauthorized(ClusterUnavailable):
    """401: the API server does not know who we are."""


class Forbidden(ClusterUnavailable):
    """403: it knows, and RBAC does not allow this; the reason names the missing rule."""


class ResourceExpired(ClusterUnavailable):
    """410: this resourceVersion or continue token is too old. Only a new list helps."""


class NotFound(ClusterUnavailable):
    """404 for an object of a resource that the server does serve."""


class Conflict(ClusterUnavailable):
    """409: the object is not, or is no longer, the one that was meant."""


class TooManyRequests(ClusterUnavailable):
    """429: the API server sheds load."""


class ConnectionLost(ClusterUnavailable):
    """The connection broke before, or while, the answer came."""


class Unreachable(ClusterUnavailable):
    """There is no connection: refused, no such host, or nobody whose certificate is trusted."""


class MalformedAnswer(ClusterUnavailable):
    """The answer is not what the Kubernetes API sends."""


class Details(msgspec.Struct, frozen=True):
    """What metav1.StatusDetails says that we use."""

    name: str = ""


class Status(msgspec.Struct, frozen=True):
    """metav1.Status, as far as we use it."""

    message: str = ""
    code: int = 0
    details: Details | None = None


_BY_CODE: dict[int, type[ClusterUnavailable]] = {
    401: Unauthorized,
    403: Forbidden,
    409: Conflict,
    410: ResourceExpired,
    429: TooManyRequests,
}


def refusal(
    *, verb: str, path: str, status: Status, retry_after: str | None = None
) -> ClusterUnavailable:
    """The error for a Status that is no success; `verb` is RBAC's (get, list, watch, create)."""
    code = status.code
    reason = f"{verb} {path}: HTTP {code}: {status.message}".rstrip(": ")
    if code == 403:
        reason = f"{reason}. {_missing_rule(verb, path)}"
    kind = _BY_CODE.get(code, ClusterUnavailable)
    # A 404 without a name means that the resource itself is not served here.
    if code == 404 and status.details is not None and status.details.name:
        kind = NotFound
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return kind(reason, status=code, retry_after=seconds)


def status_of(code: int, body: bytes) -> Status:
    """The Status that an answer with this HTTP code carries; a proxy may have written any text."""
    try:
        said = msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = Status(message=body[:200].decode(errors="replace").partition("\n")[0])
    return msgspec.structs.replace(said, code=code)


def unanswered(*, verb: str, path: str, server: str, error: Exception) -> ClusterUnavailable:
    """The error for whatever the client library, urllib3 or the socket layer raised."""
    cause = _root_cause(error)
    said = f"{type(cause).__name__}: {' '.join(str(cause).split())}"
    if isinstance(cause, TimeoutError):
        return ClusterTimeout(f"{verb} {path}: no answer in time")
    if isinstance(cause, ConnectionResetError | BrokenPipeError | IncompleteRead):
        return ConnectionLost(f"{verb} {path}: the connection broke ({said})")
    if isinstance(cause, OSError):
        return Unreachable(f"{verb} {path}: no connection to {server} ({_said(cause)})")
    return ClusterUnavailable(f"{verb} {path}: {said}")


def _said(error: OSError) -> str:
    if isinstance(error, SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    return str(error.strerror or error)


def _root_cause(error: BaseException) -> BaseException:
    """What lies under the layers of wrapping: of the socket, of TLS, or of HTTP."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError | HTTPException):
            return cause
        cause = cause.__cause__ or cause.__context__
    return error


def _missing_rule(verb: str, path: str) -> str:
    group, resource = resource_of(path)
    return f'RBAC must grant apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["{verb}"]'
