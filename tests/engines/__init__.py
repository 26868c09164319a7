"""Other container engines and walls, each started for the purpose with folders of its own."""
