# Generated from book/planning/ by make sync. Edit the chapters, not this file.
"""Hold the modules exported from book/planning/."""
