"""The REST API, version 1. `docs/portal.md` and `/api/v1/openapi.json` describe it."""
