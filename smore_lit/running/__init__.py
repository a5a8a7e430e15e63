# Generated from book/running/ by make sync. Edit the chapters, not this file.
"""Hold the modules exported from book/running/."""
