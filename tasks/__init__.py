"""The contract between the master and the workers: one module per task, and the messages between them.

Imports neither ``master`` nor ``worker``; both import this.
"""
