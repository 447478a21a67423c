"""Why an attempt ended as it did: root cause, exit code, and the words for people."""
