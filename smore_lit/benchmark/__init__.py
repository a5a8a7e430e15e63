# Generated from book/benchmark/ by make sync. Edit the chapters, not this file.
"""Hold the modules exported from book/benchmark/."""
