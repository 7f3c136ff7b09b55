"""Any model with a stack of residual blocks under our schedules: `pld_search.attach`. One concern a file.

drop.py          what the user holds: `attach`, `Drop.step`, `Drop.detach`
schedule.py      the schedule as blocks that are not ours can follow it
find.py          where the stack of blocks is
stack.py         the stack while it is attached: inside a step it hands out gates for its blocks
walk.py          one pass of a batch through the stack
gate.py          one block under one call: run, scaled, run for some rows, or passed by
returned.py      what a block returns, so that a skipped one returns the same form
rows.py          a block's arguments cut to some sequences of the batch
recorded.py      hidden states and attentions that a model recorded on its way
surroundings.py  wrappers around the model that cannot work, refused
ranks.py         all ranks hold the same plan
"""
