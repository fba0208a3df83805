"""The durable-flow engine: plain functions, re-run from what is recorded."""

from master.approvals.records import ApprovalType, Decision, Question
from master.flows.context import FlowContext
from master.flows.handle import Handle, StepFailed
from master.flows.registry import Flow, flow, get_flow

__all__ = [
    "ApprovalType",
    "Decision",
    "Flow",
    "FlowContext",
    "Handle",
    "Question",
    "StepFailed",
    "flow",
    "get_flow",
]
