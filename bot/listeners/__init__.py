"""One module a feature, each with `register(app, context)`."""
