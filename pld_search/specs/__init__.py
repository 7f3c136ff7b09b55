"""What one experiment is and how it is executed, as frozen values with units, and their way to and from YAML."""
