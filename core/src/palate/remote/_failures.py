"""What went wrong on the way to a server, in a sentence, from what the library says of it.

Its exceptions are few kinds, with everything else in a text: the answer's status and, after the first paragraph, the
chain of causes. That text repeats the whole address, with what is secret in it, so it is read here and goes no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from palate.errors import RemoteFailed

__all__ = ["Addressee", "is_absent", "reported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """Whom something is asked of.

    Attributes:
        uri: the address that was given.
        patience: for how many seconds an answer is waited for.
    """

    uri: str
    patience: float

    def failed(self, doing: str, *, reason: str, hint: str) -> RemoteFailed:
        """Return the error that says so."""
        return RemoteFailed(self.uri, doing=doing, reason=reason, hint=hint)


_STATUS: Final = re.compile(r"status code: (\d{3}) ?([A-Za-z' -]*)")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_KIND: Final = re.compile(r"^Generic \w+ error: ")
_ADDRESS: Final = re.compile(r"[a-z0-9+]+://\S+", re.IGNORECASE)

_KEYS: Final = (
    "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, the endpoint (AWS_ENDPOINT_URL), and what "
    "these credentials may do in this bucket"
)
_NO_KEYS: Final = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or AWS_PROFILE, for which boto3 has to be installed; for what "
    "everybody may read, AWS_SKIP_SIGNATURE=true"
)
_BUCKET: Final = "create the bucket, or check its name and the endpoint (AWS_ENDPOINT_URL)"
_REGION: Final = "set AWS_REGION to the bucket's region"
_HOST: Final = "check the address, the endpoint (AWS_ENDPOINT_URL) and the network"
_LATER: Final = "try again later"

# The first that is found in the text counts.
_CAUSES: Final = tuple(
    (re.compile(pattern), reason, hint)
    for pattern, reason, hint in (
        (r"/latest/(api/token|meta-data)", "no credentials were found", _NO_KEYS),
        (r"<Code>NoSuchBucket</Code>", "there is no bucket of that name", _BUCKET),
        (r"<Code>(PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed)<", "it is elsewhere", _REGION),
        (r"redirect without LOCATION", "the bucket is in another region", _REGION),
        (r"HTTP error: builder error", "the endpoint is an http: address", "use https:, or set AWS_ALLOW_HTTP=true"),
        (r"source: TooManyRedirects", "it leads in a circle", "check the address"),
        (r"kind: Redirect", "it leads to an address that is not encrypted", "use the https: address that it leads to"),
        (
            r"source: MissingContentLength",
            "the server does not say how long the file is, without which half of it looks like the whole",
            "download it with another tool, and open the file",
        ),
        (
            r"InvalidCertificate\(|CertificateUnknown",
            "the server's certificate is not trusted",
            "if it is your own server's, name a file with its issuer's certificate in SSL_CERT_FILE",
        ),
        (r'(?m)^ *"dns error"', "there is no machine of that name", _HOST),
        (r"kind: ConnectionRefused", "nobody listens there", _HOST),
        (r"kind: Timeout", "no answer for {patience:g} s", f"{_LATER}, or {_HOST}"),
        (r"kind: Connect\b", "no connection came about", _HOST),
        (r"kind: (Interrupted|Body|Decode|UnexpectedEof)|RangeNotSupported", "the connection broke", _LATER),
        (r"invalid international domain name|relative URL|InvalidUri", "it is not an address", "check the address"),
        (r"InvalidPath|Could not parse path", "a name there is none that a file can have", "remove or rename it"),
    )
)


@contextmanager
def reported(whom: Addressee, doing: str) -> Iterator[None]:
    """Turn what the library raises into RemoteFailed; only calls of the library may stand in the block."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError, ValueError, NotImplementedError) as exc:
        reason, hint = _explain(str(exc), whom, absent=isinstance(exc, FileNotFoundError))
        # Not from exc: its text has the address with all that is secret in it.
        raise whom.failed(doing, reason=reason, hint=hint) from None


def is_absent(exc: FileNotFoundError) -> bool:
    """Whether the object is not there, rather than the whole bucket."""
    return "<Code>NoSuchBucket</Code>" not in str(exc)


def _explain(text: str, whom: Addressee, *, absent: bool) -> tuple[str, str]:
    """Return the reason, and what to do."""
    for pattern, reason, hint in _CAUSES:
        if pattern.search(text):
            return reason.format(patience=whom.patience), hint
    check = "check the address"
    status = _STATUS.search(text)
    if absent:
        return "nothing is there", check
    if status is None:
        return _ADDRESS.sub("…", _KIND.sub("", text.partition("\n")[0])).rstrip("."), _LATER
    number, code = int(status[1]), _CODE.search(text)
    said = f"{number} {code[1] if code else status[2].strip()}".strip()
    if number in (401, 403):
        return f"the server refused ({said})", _KEYS if whom.uri.startswith("s3:") else f"{check}, and what signs it"
    return f"the server answered {said}", _LATER if number >= 500 else check
