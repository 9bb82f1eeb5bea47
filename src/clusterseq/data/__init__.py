"""From events to what a model learns from: people, items as indices, splits, tasks, graph, memory.

Knows nothing about: files of events, networks.
"""
