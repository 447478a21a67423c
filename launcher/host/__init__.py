"""What this machine has: device files, tools, cores, addresses. Looked at, never changed.

``access`` is the only way to the machine, so that a test can put a folder in its place; ``npu``,
``npu_queries`` and ``hccn`` read what the tools print; ``npus``, ``cores`` and ``addresses`` put
together what a plan needs, and ``node`` is all of it as one value.
"""
