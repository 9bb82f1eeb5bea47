"""From files, tables and databases to events with raw ids.

Knows nothing about: who is known and who is new, tensors.
"""
