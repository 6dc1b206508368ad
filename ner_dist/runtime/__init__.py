"""The process that computes: device and precision, ranks, signals, threads, kernels, progress."""
