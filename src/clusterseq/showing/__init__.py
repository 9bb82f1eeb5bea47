"""Pictures, tables and bars, alike wherever they stand.

Knows nothing about: what they show.
"""
