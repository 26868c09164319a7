"""An entry whose class is not there."""
