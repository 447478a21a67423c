"""`launcher doctor`: can a job run here, and if not, what to do.

``facts`` looks at the host once; ``software``, ``npus`` and ``system`` judge the facts, each check
a function of values; ``cli`` shows what they found.
"""
