"""Which job of several nodes this launcher belongs to, as Slurm, pods or mpirun tell it."""
