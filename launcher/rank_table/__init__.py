"""HCCL rank tables: read, check, make, merge, show, and wait for them.

Nothing is imported here, so that the launcher loads only what it uses: `lint` reads and checks,
`model` is what comes of it, `write`, `convert`, `merge` and `show` go on from there, `survey` and
`make` put a new one together, `wait` watches a file.
"""
