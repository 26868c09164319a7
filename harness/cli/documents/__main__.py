"""Write docs/schemas anew: `python -m harness.cli.documents`."""

from pathlib import Path

from harness.cli.documents import write_schemas

write_schemas(Path("docs") / "schemas")
