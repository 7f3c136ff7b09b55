"""The pre-training objectives: batches, losses and heads. Each objective has its own file."""
