"""The `demo` job of docker-compose.yml: create the demo team and its automations in a running stack.

Configured by DATABASE_URL, API_ORIGIN, SANDBOX_ORIGIN and DEMO_API_KEY. Doing it again changes nothing.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from datetime import UTC, datetime
from hashlib import sha256

from carillon.client import Api, Sandbox
from carillon.errors import Obstacle
from carillon.seed import HOOK, OWNER, TEAM, plant
from common.tenants import bootstrap


async def main() -> None:
    """Create the team, give the sandbox the signing secret, and create the rest through the API."""
    key = os.environ.get("DEMO_API_KEY")
    if not key:
        raise Obstacle("DEMO_API_KEY is not set: write .env by `python3 deploy/new_env.py --demo`")
    sandbox_origin = os.environ["SANDBOX_ORIGIN"]
    await bootstrap(os.environ["DATABASE_URL"], tenant_name=TEAM, user_email=OWNER, api_key=key)
    # The same at every start, because the destination keeps it and the sandbox does not.
    webhook_secret = "whsec_" + base64.b64encode(sha256(f"webhook {key}".encode()).digest()).decode()
    async with (
        Sandbox.connected(sandbox_origin) as sandbox,
        Api.connected(os.environ["API_ORIGIN"], key) as api,
    ):
        await sandbox.expect_signature(HOOK, webhook_secret)
        await plant(api, sandbox_origin=sandbox_origin, webhook_secret=webhook_secret, now=datetime.now(UTC))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except Obstacle as obstacle:
        sys.exit(f"demo: {obstacle}")
