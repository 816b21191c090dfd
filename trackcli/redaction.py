"""URLs without their secrets, for everything that is shown or stored: messages, JSON, records and reports.

Passwords and tokens are hidden rather than parsed: a URL with an unescaped ``/`` or ``@`` in its password is invalid,
and just what ends up in an error message. So where it is unclear what belongs to the password, more is hidden.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus

HIDDEN = "***"

# One slash will do: that is what remains of a URL that was taken for a path. One letter before it is a drive.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?:/+|%2F%2F)", re.IGNORECASE)
# In running text a URL ends at a blank, or at a quotation mark that closes something.
_URL_IN_TEXT = re.compile(
    r"""[A-Za-z][A-Za-z0-9+.-]+:(?:/+|%2F%2F)(?:[^\s'"<>`]|['"`](?![\s,;:.)\]}>'"]|$))*""", re.IGNORECASE
)
_PARAMETER = re.compile(r"[?&;#]([^=?&;#]+)=")
_SECRET_WORD = re.compile(
    r"token|secret|pass|pwd|auth|cred|key|sig|session|jwt|bearer|otp|loginpas|^x-(amz|goog|ms|oss|cos)-|^(pw|psw|pin|sas|code)$",
    re.IGNORECASE,
)


def is_url(text: str) -> bool:
    """Whether a text is an address with a scheme, ``rtsp://camera/1`` for example."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def redact_url(url: str) -> str:
    """A URL without user, password and secret parameters.

    User information becomes ``***``, and so do the values of parameters whose names speak of a secret (``token``,
    ``api_key``, ``password``, ``signature``, ``X-Amz-Credential``, …), in the query, behind ``;`` and in the fragment,
    also where the URL is part of another one.

    Example:
        >>> redact_url("rtsp://admin:1234@camera/live?channel=1&token=abc")
        'rtsp://***@camera/live?channel=1&token=***'
    """
    return _without_secret_parameters(_without_user(url))


def redact(text: str) -> str:
    """A text in which every URL has lost its secrets; what is no URL stays as it is."""
    return _URL_IN_TEXT.sub(lambda match: redact_url(match.group()), text)


def _without_user(url: str) -> str:
    start = 0
    while (scheme := _SCHEME.search(url, start)) is not None:
        start = scheme.end()
        rest = url[start:]
        authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
        # A colon may be a port's, and then what follows up to an "@" is a path: hidden too, it costs only clarity.
        part = rest if ":" in authority or "%3a" in authority.lower() else authority
        end = max(part.rfind("@") + 1, part.lower().rfind("%40") + 3 if "%40" in part.lower() else 0)
        if end:
            url = f"{url[:start]}{HIDDEN}@{rest[end:]}"
            start += len(HIDDEN) + 1
    return url


def _without_secret_parameters(url: str) -> str:
    kept, position = [], 0
    while (parameter := _PARAMETER.search(url, position)) is not None:
        kept.append(url[position : parameter.end()])
        position = parameter.end()
        if _is_secret(parameter[1]):
            end = url.find("&", position)
            kept.append(HIDDEN)
            position = len(url) if end < 0 else end
            continue
        value = url[position:].partition("&")[0]
        inner = unquote(value)
        # A whole address, escaped: its own parameters cannot be seen from outside.
        if inner != value and is_url(inner) and redact_url(inner) != inner:
            kept.append(HIDDEN)
            position += len(value)
    return "".join([*kept, url[position:]])


def _is_secret(name: str) -> bool:
    return _SECRET_WORD.search(unquote_plus(name).strip()) is not None
