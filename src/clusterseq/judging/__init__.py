"""What rankings are worth: metrics of ranks, and the protocol that takes them.

Knows nothing about: how scores come about.
"""
