"""DysenPlanner, the dynamic scene manager: prompt -> action plan -> DSG -> imagined and polished DSG, by a language
model.

All prompts of a batch go through the steps in lockstep: each step is one engine call for everything that is asked in
it. A prompt that fails in stage I has no plan and an empty graph; one that fails in stage III keeps what it had. Both
say so in ``degraded``, and the others go on.

Source: Dysen-VDM (arXiv 2308.13812) section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from planners.action_planning import (
    Clause,
    Mention,
    act_question,
    name_question,
    order_question,
    parse_order,
    parsed,
    plain_name,
    refer_question,
    split_question,
)
from planners.contracts import Call, PlanResult, Progress, check_prompts
from planners.demonstrations import Demonstration, demonstrations
from planners.dsg import ActionPlan, DynamicSceneGraph, UserError, one_line
from planners.engines import Engine
from planners.event_conversion import convert
from planners.plan_assembly import Action, Cast, build_plan, cast_actions, phrases, retellings
from planners.questions import Question, ask
from planners.scene_imagination import SceneExample, Vocabulary, polish_question, window_question
from planners.selection import BY_PROMPT, Choice, Selector, StructureSelector

__all__ = ["DysenPlanner", "PlanResult", "demonstrated"]

E = TypeVar("E")
K = TypeVar("K")
T = TypeVar("T")

FIRST = {"split": 6, "act": 8, "name": 4, "refer": 4, "order": 6, "imagine": 3, "polish": 3}
"""How many worked examples each step always shows: the pool's first ones, whose tokens all questions share."""
CHOSEN = {"split": 3, "act": 6, "name": 6, "refer": 3, "order": 4}
"""How many more it shows, those that the strategy chooses for what is asked, the best last."""


@dataclass
class _Job:
    """One prompt on its way through the stages. ``failed`` says why stage I ended; ``notes`` what went wrong later."""

    prompt: str
    number: int = 0
    calls: list[Call] = field(default_factory=list)
    failed: str | None = None
    notes: list[str] = field(default_factory=list)
    segments: list[str] = field(default_factory=list)
    clauses: list[Clause] = field(default_factory=list)
    names: dict[tuple[str, ...], tuple[Mention, ...]] = field(default_factory=dict)
    cast: Cast = field(default_factory=Cast)
    actions: list[Action] = field(default_factory=list)
    order: list[tuple[str, int]] = field(default_factory=list)
    plan: ActionPlan | None = None
    stages: dict[str, DynamicSceneGraph] = field(default_factory=dict)


def _prompt(example: Demonstration) -> str:
    return example.prompt


def _unmarked(text: str) -> str:
    return text.replace("[", "").replace("]", "")


class DysenPlanner:
    """Plans with any :class:`planners.engines.Engine`.

    ``imagine=False`` ends after stage II, ``window=False`` shows imagination one segment at a time, without its
    neighbours; ``words`` are those that imagination may use, None for any. ``pool`` are the demonstrations that are
    shown, and ``selector`` chooses among them; ``temperature`` 0 is greedy, and one below 0
    raises :class:`UserError`.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        imagine: bool = True,
        window: bool = True,
        temperature: float = 0.0,
        pool: Sequence[Demonstration] | None = None,
        words: Vocabulary | None = None,
        selector: Selector | None = None,
    ) -> None:
        if not 0 <= temperature < float("inf"):
            raise UserError(f"temperature: {temperature:g}; give 0 (always the likeliest word) or more")
        self.engine = engine
        self.imagine = imagine
        self.window = window
        self.words = words
        self.temperature = temperature
        self.pool = demonstrations() if pool is None else tuple(pool)
        self.selector: Selector = StructureSelector() if selector is None else selector

    @property
    def seed_matters(self) -> bool:
        """Nothing is drawn where the likeliest words are taken, and examples are chosen by the prompt alone."""
        return self.temperature > 0 or not isinstance(self.selector, BY_PROMPT)

    def plan(
        self, prompts: Sequence[str], *, ticks: int, seed: int, on_progress: Progress | None = None
    ) -> list[PlanResult]:
        """One result per prompt; see :class:`planners.contracts.Planner`."""
        check_prompts(prompts, ticks)
        jobs = [_Job(prompt, number) for number, prompt in enumerate(prompts)]
        steps: list[tuple[str, Callable[[list[_Job], int], None]]] = [
            ("finding the actions", self._split),
            ("finding the verbs", self._act),
            ("finding names", self._name),
            ("finding who is meant", self._refer),
            ("ordering the actions", self._order),
        ]
        for i, (title, step) in enumerate(steps):
            if on_progress:
                on_progress(title, i / (len(steps) + 2))
            step([job for job in jobs if not job.failed], seed)
        for job in jobs:
            _conclude(job, ticks)
        if self.imagine:
            if on_progress:
                on_progress("imagining the scene", len(steps) / (len(steps) + 2))
            self._imagine([job for job in jobs if job.plan], seed)
            if on_progress:
                on_progress("polishing the scene", (len(steps) + 1) / (len(steps) + 2))
            self._polish([job for job in jobs if job.plan], seed)
        if on_progress:
            on_progress("planned", 1.0)
        return [
            PlanResult(
                prompt=job.prompt,
                plan=job.plan,
                stages=job.stages,
                transcript=job.calls,
                degraded="; ".join([job.failed] if job.failed else job.notes) or None,
                strategy=self.selector.name,
                window=self.window,
            )
            for job in jobs
        ]

    # -- stage I ---------------------------------------------------------------------------------------------------

    def _split(self, jobs: list[_Job], seed: int) -> None:
        shown = self._shown("split", self.pool, _prompt, [(job, job.prompt) for job in jobs], seed)
        asked = [(job, split_question(job.prompt, examples)) for job, examples in zip(jobs, shown, strict=True)]
        for job, segments in self._ask(asked, seed):
            job.segments = segments

    def _act(self, jobs: list[_Job], seed: int) -> None:
        pool = [clause for example in self.pool for clause in example.clauses]
        segments = [(job, segment) for job in jobs for segment in job.segments]
        shown = self._shown("act", pool, _unmarked, segments, seed)
        asked = [
            (job, act_question(segment, examples)) for (job, segment), examples in zip(segments, shown, strict=True)
        ]
        for job, clause in self._ask(asked, seed):
            job.clauses.append(clause)

    def _name(self, jobs: list[_Job], seed: int) -> None:
        pool = [name for example in self.pool for name in example.names]
        unnamed = []
        for job in jobs:
            for phrase in phrases(job.clauses):
                known = plain_name(phrase)
                if known is not None:
                    job.names[phrase] = known
                else:
                    unnamed.append((job, phrase))
        shown = self._shown("name", pool, _unmarked, [(job, " ".join(phrase)) for job, phrase in unnamed], seed)
        asked = [
            (job, _paired(phrase, name_question(phrase, examples)))
            for (job, phrase), examples in zip(unnamed, shown, strict=True)
        ]
        for job, (phrase, mentions) in self._ask(asked, seed):
            job.names[phrase] = mentions

    def _refer(self, jobs: list[_Job], seed: int) -> None:
        pool = [example for example in self.pool if example.references]
        unclear = []
        for job in jobs:
            job.cast, job.actions = cast_actions(job.clauses, job.names)
            for i, action in enumerate(job.actions):
                options = {} if action.resolved else retellings(job.cast, action)
                if len(options) == 1:
                    job.actions[i] = next(iter(options.values()))
                elif options:
                    unclear.append((job, i, options))
                elif not action.resolved:
                    job.failed = f"nobody is named who could do «{' '.join(action.clause.words)}»"
        unclear = [found for found in unclear if not found[0].failed]
        shown = self._shown("refer", pool, _prompt, [(job, job.prompt) for job, *_ in unclear], seed)
        asked = [
            (job, _paired(i, refer_question(job.prompt, job.actions[i].clause, options, examples)))
            for (job, i, options), examples in zip(unclear, shown, strict=True)
        ]
        for job, (i, action) in self._ask(asked, seed):
            job.actions[i] = action

    def _order(self, jobs: list[_Job], seed: int) -> None:
        pool = [example for example in self.pool if example.order]
        several = [job for job in jobs if len(job.actions) > 1]
        for job in jobs:
            if len(job.actions) == 1:
                job.order = [("", 1)]
            elif not job.actions:
                job.failed = "no action was found in the prompt"
        shown = self._shown("order", pool, _prompt, [(job, job.prompt) for job in several], seed)
        asked = [(job, order_question(job.clauses, examples)) for job, examples in zip(several, shown, strict=True)]
        for job, order in self._ask(asked, seed):
            job.order = order

    # -- stage III -------------------------------------------------------------------------------------------------

    def _imagine(self, jobs: list[_Job], seed: int) -> None:
        examples = [scene_example(example) for example in self.pool[: FIRST["imagine"]]]
        raw = {id(job): job.stages["converted"].segments() for job in jobs}
        for job in jobs:
            job.stages["imagined"] = job.stages["converted"]
        for index in range(max(map(len, raw.values()), default=0)):
            asked = [
                (
                    job,
                    window_question(
                        job.stages["imagined"], raw[id(job)], index, examples, self.words, window=self.window
                    ),
                )
                for job in jobs
                if index < len(raw[id(job)])
            ]
            for job, dsg in self._ask(asked, seed, fatal=False):
                job.stages["imagined"] = dsg

    def _polish(self, jobs: list[_Job], seed: int) -> None:
        examples = [scene_example(example) for example in self.pool[: FIRST["polish"]]]
        for job in jobs:
            job.stages["polished"] = job.stages["imagined"]
        asked = [(job, polish_question(job.stages["imagined"], examples, self.words)) for job in jobs]
        for job, dsg in self._ask(asked, seed, fatal=False):
            job.stages["polished"] = dsg

    # -- asking ----------------------------------------------------------------------------------------------------

    def _shown(
        self, step: str, pool: Sequence[E], key: Callable[[E], str], asked: Sequence[tuple[_Job, str]], seed: int
    ) -> list[list[E]]:
        """For each text asked the pool's first examples, its very first one last of them, then those chosen for it."""
        first, others = pool[: FIRST[step]], pool[FIRST[step] :]
        choice = Choice(
            step=step,
            questions=tuple(text for _, text in asked),
            owners=tuple(job.number for job, _ in asked),
            pool=tuple(map(key, others)),
            count=CHOSEN[step],
            seed=seed,
        )
        return [[*reversed(first), *(others[i] for i in chosen)] for chosen in self.selector.choose(choice)]

    def _ask(self, asked: Sequence[tuple[_Job, Question[T]]], seed: int, *, fatal: bool = True) -> list[tuple[_Job, T]]:
        """Ask everything in one batch; returns what was answered, by prompt. A failure ends its prompt's stage I."""
        answers = ask(self.engine, [question for _, question in asked], seed=seed, temperature=self.temperature)
        answered = []
        for (job, question), answer in zip(asked, answers, strict=True):
            job.calls += answer.calls
            if answer.value is not None:
                answered.append((job, answer.value))
            elif fatal:
                job.failed = job.failed or f"step {question.step!r} failed {len(answer.calls)} times: {answer.error}"
            else:
                job.notes.append(f"step {question.step!r} failed {len(answer.calls)} times: {answer.error}")
        return answered


def _paired(key: K, question: Question[T]) -> Question[tuple[K, T]]:
    """The same question; its answer comes with ``key``."""
    return Question(
        step=question.step,
        messages=question.messages,
        json_schema=question.json_schema,
        max_tokens=question.max_tokens,
        check=lambda value: (key, question.check(value)),
    )


def _conclude(job: _Job, ticks: int) -> None:
    """Stage I's plan and stage II; a prompt without a plan gets a graph without facts."""
    if not job.failed:
        try:
            job.plan = build_plan(job.prompt, ticks, job.cast, job.actions, job.order)
        except ValidationError as error:
            job.failed = one_line(error)
        except ValueError as error:
            job.failed = str(error)
    if job.plan is None:
        job.stages["converted"] = DynamicSceneGraph(prompt=job.prompt, ticks=ticks)
    else:
        job.stages["converted"] = convert(job.plan)


# -- demonstrations --------------------------------------------------------------------------------------------------


def demonstrated(example: Demonstration, ticks: int) -> ActionPlan:
    """The plan that a demonstration's marks mean, found as for a prompt, the marks being the model's answers."""
    clauses = [parsed(text) for text in example.clauses]
    marked = {tuple(name.replace("[", "").replace("]", "").split()): name for name in example.names}
    names = {}
    for phrase in phrases(clauses):
        known = plain_name(phrase)
        names[phrase] = known if known is not None else name_question(phrase, ()).check(marked[phrase])
    cast, actions = cast_actions(clauses, names)
    for i, action in enumerate(actions):
        if not action.resolved:
            question = refer_question(example.prompt, action.clause, retellings(cast, action), ())
            actions[i] = question.check(example.references[" ".join(action.clause.words)])
    return build_plan(example.prompt, ticks, cast, actions, parse_order(example.order or "1"))


def scene_example(example: Demonstration) -> SceneExample:
    """A demonstration's graph, one tick per step, and what was imagined for its segments."""
    return SceneExample(convert(demonstrated(example, len(example.imagined))), example.imagined, example.flaw)
