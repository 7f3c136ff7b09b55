"""From text, tables and the hub to files of tokens, and from those to masked batches as pure functions of the step."""
