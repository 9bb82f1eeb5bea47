"""The commands, one file each: their options, and what they print.

Knows nothing about: how the program is started and ends.
"""
