"""One run on several processes, one a device: torch's own engine, with a unit of its own for every block.

`ranks` opens them and makes their decisions common, `wrap` gives a model its units, `tensors` and `moments` go between
a rank's part and the whole, `agreed` compares what the ranks are about to do. With one process all of it does nothing.
"""
