"""A planner for people who write plans themselves: "girl > walk to > box; girl > jump over > box, dog > run"."""

from planners.contracts import PlanResult, check_prompts
from planners.dsg import ActionPlan, Event, SceneObject
from planners.event_conversion import convert
from planners.hookspecs import hookimpl
from planners.language import slug


class ScriptPlanner:
    """Steps are separated by ";", what happens at the same time by ",", agent, action and target by ">"."""

    def __init__(self, *, imagine=False):
        """What the command line passes on arrives here; a planner need not take any of it."""

    def plan(self, prompts, *, ticks, seed, on_progress=None):
        check_prompts(prompts, ticks)
        return [self._planned(prompt, ticks) for prompt in prompts]

    def _planned(self, prompt, ticks):
        steps = prompt.split(";")
        objects, events = {}, []
        for i, step in enumerate(steps):
            for action in step.split(","):
                parts = [part.strip() for part in action.split(">")]
                if len(parts) not in (2, 3) or not all(parts) or len(steps) > ticks:
                    reason = f"{action.strip()!r} is not 'agent > action > target', or there are too many steps"
                    return PlanResult(prompt=prompt, plan=None, stages={}, transcript=[], degraded=reason)
                agent, predicate, *target = parts
                for label in (agent, *target):
                    objects[label] = SceneObject(id=slug(label), label=label)
                event = {"agent": slug(agent), "predicate": predicate, "target": slug(target[0]) if target else None}
                events.append(Event(**event, start=i * ticks // len(steps), end=(i + 1) * ticks // len(steps)))
        plan = ActionPlan(prompt=prompt, ticks=ticks, objects=tuple(objects.values()), events=tuple(events))
        return PlanResult(prompt=prompt, plan=plan, stages={"converted": convert(plan)}, transcript=[], degraded=None)


@hookimpl
def register_planners(register):
    register("script", "takes a script: 'girl > walk to > box; girl > jump over > box'", "nothing", ScriptPlanner)
