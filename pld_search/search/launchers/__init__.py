"""Launchers start runs: `local` on this machine, `ray` and `slurm` on clusters. `open_launcher` opens the one a machine
asks for.
"""
