"""From a network and tasks to a model on disk: stages, calibration, tuning, checkpoints.

Knows nothing about: peers, terminals.
"""
