"""The HTTP app: ingest, signed links, health, and Slack's signed requests."""
