"""The real Modal SDK, command line and container entrypoint, against a control plane on this machine."""
