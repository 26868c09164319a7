"""The web face of contests and their REST API; extra `portal`."""
