"""Facebook: the Graph API, and how its accounts are connected."""

from typing import Final

from common.models import ConnectionKind

PLATFORM: Final = "facebook"
FACEBOOK_USER: Final = ConnectionKind("facebook_user")
