"""The life of processes: started, watched, ended together, nothing left behind."""
