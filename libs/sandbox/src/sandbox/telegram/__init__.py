"""An imitation of the Telegram Bot API."""
