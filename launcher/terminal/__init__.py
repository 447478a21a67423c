"""What reaches the terminal, from the logs, without holding anything up."""
