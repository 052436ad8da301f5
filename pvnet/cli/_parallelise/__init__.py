"""The parts of `pvnet parallelise`."""
