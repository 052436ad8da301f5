"""The stage-by-tick timeline of a graph: which frame each stage works on in each tick."""
