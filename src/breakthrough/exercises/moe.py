"""The bank of module 1, Mixture-of-Experts: 12 lab exercises and 5 questions of the lesson."""

from __future__ import annotations

from breakthrough.exercises import (
    moe_balance,
    moe_bias,
    moe_capacity,
    moe_combine,
    moe_cost,
    moe_dispatch,
    moe_experiment,
    moe_mend,
    moe_prove,
    moe_questions,
    moe_routing,
    moe_upcycle,
    moe_zloss,
)

EXERCISES = (
    *moe_routing.EXERCISES,
    *moe_combine.EXERCISES,
    *moe_dispatch.EXERCISES,
    *moe_balance.EXERCISES,
    *moe_zloss.EXERCISES,
    *moe_capacity.EXERCISES,
    *moe_bias.EXERCISES,
    *moe_cost.EXERCISES,
    *moe_mend.EXERCISES,
    *moe_prove.EXERCISES,
    *moe_upcycle.EXERCISES,
    *moe_experiment.EXERCISES,
    *moe_questions.EXERCISES,
)
