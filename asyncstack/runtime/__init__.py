"""The node side: the driver and its tree, what starts and follows them, and what they say."""
