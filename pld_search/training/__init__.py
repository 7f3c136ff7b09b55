"""One run from start to end: pre-training, validation, checkpoints, fine-tuning. Its only records are events.

`train_run.train` is the entry point. This room does not use Optuna, MLflow or the network.
"""
