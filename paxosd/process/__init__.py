"""What every process of ours does first and last: signals, standard streams, its log, threads, exit codes."""
