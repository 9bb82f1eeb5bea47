"""Simple models that every learnt one has to beat, behind the same ``Scorer``.

Knows nothing about: evaluation, training.
"""
