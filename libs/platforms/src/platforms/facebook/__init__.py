"""Facebook: the Graph API, and how its accounts are connected."""

PLATFORM = "facebook"
