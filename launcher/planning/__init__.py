"""What will be started: from options, files and this host to a plan."""
