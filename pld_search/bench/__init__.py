"""How fast training is against what a user would run instead: `pld-search bench`."""
