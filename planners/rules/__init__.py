"""The rules baseline: a plan from a dependency parse, without a language model. English only.

``words`` are closed lists, ``clauses`` reads who does what from spaCy's parse, ``references`` says who is meant,
``order`` when it happens, ``planner`` puts the plan together. Only ``planner`` loads spaCy, when one is built.
"""

from planners.rules.planner import RulesPlanner

__all__ = ["RulesPlanner"]
