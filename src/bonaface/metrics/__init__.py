"""Error rates, thresholds, curves and intervals: numpy arrays in, numbers out, nothing else."""
