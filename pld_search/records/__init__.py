"""What runs and studies wrote down, and the one fold of each file that every reader uses."""
