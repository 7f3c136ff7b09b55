"""Where runs are started: `local` on this machine, `ray` on a cluster; `opening` says which a machine asks for."""
