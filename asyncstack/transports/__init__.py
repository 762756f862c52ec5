"""Ways to a node: `base` is the interface, the other modules implement it."""
