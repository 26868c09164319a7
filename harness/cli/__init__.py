"""The command line: the only room that prints and chooses implementations."""

import gc
import os

# A light command is mostly imports. Pydantic need not look through every installed distribution for plugins
# that nobody wants, and while modules are only being made, a collection finds nothing.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
gc.set_threshold(50_000, *gc.get_threshold()[1:])
