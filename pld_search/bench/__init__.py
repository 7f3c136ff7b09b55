"""`pld-search bench`: training speed, compared with a user's alternatives."""
