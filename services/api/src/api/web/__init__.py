"""The console: pages rendered on the server, which work without scripts and are kept current by a few."""
