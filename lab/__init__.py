"""The lab: a Storage Box emulator, app hosts and servers on loopback, for the demo, rehearsals, benchmarks and tests.

It lies beside the product: nothing in `tasks/` but the wiring knows it, and the container image does not have it.
"""
