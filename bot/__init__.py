"""The Slack face: app factory, middleware, one listener module per feature."""
