"""What a model learnt and how well it does, as one page for people and as JSON for programs."""
