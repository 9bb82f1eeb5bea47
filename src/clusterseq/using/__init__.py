"""What a user starts with: an experiment, an update, a recommender, whole files of people.

Knows nothing about: HTTP, terminals.
"""
