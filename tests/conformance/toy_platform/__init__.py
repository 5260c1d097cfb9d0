"""Toy: an advertising platform that exists only here, as an example of what a platform's folder holds."""

from typing import Final

from common.models import ConnectionKind

PLATFORM: Final = "toy"
TOY_ACCOUNT: Final = ConnectionKind("toy_account")
