"""Runs on a worker machine: joins the fleet, claims steps, runs handlers, holds models."""
