"""One module for each revision, in the order of ``down_revision``."""
