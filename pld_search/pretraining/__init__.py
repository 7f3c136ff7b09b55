"""What a run learns: batches, losses and heads of each pre-training objective. One objective a file."""
