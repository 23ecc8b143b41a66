"""A local stand-in for Slack: development, demonstrations and tests run the untouched bot against it."""
