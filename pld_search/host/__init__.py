"""This machine: processes, signals, memory, disks, devices, network. All differences between platforms are here."""
