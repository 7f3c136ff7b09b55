"""Where runs are started: `local` on this machine, `ray` and `slurm` on clusters; `opening` says which a machine asks
for.
"""
