"""The real sandbox: containers of a container engine."""
