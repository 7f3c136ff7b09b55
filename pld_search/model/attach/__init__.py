"""`pld_search.attach`: schedules for any model with a stack of residual blocks. Each file has one concern.

layer_drop.py        the user's interface: `attach`, `Drop.step`, `Drop.detach`
stack_schedule.py    the schedule in a form that blocks of other models can follow
find_blocks.py       finds the stack of blocks in a model
check_blocks.py      refuses blocks that cannot be skipped, before any step
gated_stack.py       the attached stack: inside a step it returns gates for its blocks
open_pass.py         the gates that passes follow at the moment
stack_pass.py        one pass of a batch through the stack
block_gate.py        one block under one call: run, scaled, run for some rows, or skipped
block_outputs.py     the form of a block's output, so that a skipped block returns the same form
outputs_beside.py    the values that a block returns beside its hidden states
row_arguments.py     selects the arguments of a block for some sequences of the batch
recorded_outputs.py  checks hidden states and attentions that a model has recorded
wrappers.py          refuses wrappers around the model that cannot work
same_plan.py         checks that all ranks hold the same plan
"""
