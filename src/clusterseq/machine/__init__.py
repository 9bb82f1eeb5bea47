"""The machine: files and folders, devices, processes, memory, how far something is.

Knows nothing about: events, models.
"""
