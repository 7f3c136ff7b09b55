"""One run on several processes, one per device: torch's FSDP2, with one unit per block.

`ranks` opens the processes and makes common decisions, `meeting` is where they find each other, and `rank_log` lets the
first rank write the record. `sharding` divides a model into units; `shared_tensors`, `whole_weights` and
`optimizer_state` convert between a rank's part and the whole. `batch_division` and `consistency` check that all ranks
do the same. With one process nothing of this has an effect.
"""
