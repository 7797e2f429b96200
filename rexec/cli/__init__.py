"""The front door: argv, terminals, environment, exit codes."""
