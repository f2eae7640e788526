"""The pure core: match, grade, fold, plan, enqueue.

Nothing here does I/O, knows a clock (`now` is an argument), a logger, a loop or a vendor, which is why
the same code serves the daemon, `explain` and every test.
"""
