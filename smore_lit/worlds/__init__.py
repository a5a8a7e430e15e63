# Generated from book/worlds/ by make sync. Edit the chapters, not this file.
"""Hold the modules exported from book/worlds/."""
