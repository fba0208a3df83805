"""Addresses of the owner's that are told what happened: subscriptions, deliveries, signatures."""
