"""The proof that the user of a token also knows the secret of the app it was granted to. Pure.

Apps with "Require App Secret" refuse every call of a server without it, each part of a batch included.
https://developers.facebook.com/docs/graph-api/guides/secure-requests
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping


def appsecret_proof(secret: str, token: str) -> str:
    """HMAC-SHA256 of the token under the app's secret, in hexadecimal digits."""
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def proof_of(secret: str, token: str) -> Mapping[str, str]:
    """The parameter that goes with a call by `token`; none where the app's secret is not known."""
    return {"appsecret_proof": appsecret_proof(secret, token)} if secret else {}
