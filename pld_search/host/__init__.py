"""This machine: processes, signals, memory, disks, devices, network. What differs by platform lives here only."""
