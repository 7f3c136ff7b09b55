"""The records that runs and studies write, and the single fold of each file that every reader uses."""
