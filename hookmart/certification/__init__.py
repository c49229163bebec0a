"""Going live: what a platform's policy asks of a receiver, tried on one that runs, over HTTP and nothing else."""
