"""Ways to run a language model, each in a process of its own: ``python -m tests.bench.rivals WAY``.

A process answers each line of JSON on its input (a workload) with one on its output: the seconds that it
took and the texts. It sleeps while the others are measured.
"""
