"""A simulated company: a population whose truth is known, and the vendors' APIs that tell of it."""
