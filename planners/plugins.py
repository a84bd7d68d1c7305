"""The planner registry: built-in planners and those of installed plugins, all through the same hook."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, get_type_hints

import pluggy
from pydantic import PydanticUserError, TypeAdapter, ValidationError

from planners import builtin, hookspecs
from planners.contracts import Planner
from planners.dsg import UserError, one_line

DEFAULT_PLANNER = "smollm2"


@dataclass(frozen=True)
class PlannerInfo:
    """What ``dysenvdm planners`` shows: name, one line of help, what the planner needs, and which plugin gives it."""

    name: str
    help: str
    needs: str
    plugin: str
    factory: Callable[..., Planner] = field(repr=False)


@dataclass(frozen=True)
class Registry:
    """All planners by name, and for each plugin that could not be used one line saying why."""

    planners: dict[str, PlannerInfo]
    broken: dict[str, str]


def build_plugin_manager() -> tuple[pluggy.PluginManager, dict[str, str]]:
    """A plugin manager with the built-ins and every plugin that loads; and for each that does not, its name and why."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin, name="built-in")
    broken = {}
    for entry in entry_points(group=hookspecs.PROJECT):
        try:
            plugin = entry.load()
            manager.register(plugin, name=entry.name)
            manager.check_pending()
            if not manager.get_hookcallers(plugin):
                raise UserError("it has no hook; write @hookimpl above its register_planners, see docs/plugins.md")
        except Exception as error:  # a plugin's import may raise anything; it is reported, and the others still work
            broken[entry.name] = _reason(error)
            if manager.has_plugin(entry.name):
                manager.unregister(name=entry.name)
    return manager, broken


def registry() -> Registry:
    """Ask every plugin for its planners, the built-in ones first; a plugin that takes a used name is broken."""
    manager, broken = build_plugin_manager()
    planners: dict[str, PlannerInfo] = {}
    for plugin, _ in manager.list_name_plugin():
        try:
            found = _planners_of(manager, plugin)
        except Exception as error:  # as above: any error of a plugin is that plugin's
            broken[plugin] = _reason(error)
            continue
        names = [info.name for info in found]
        taken = next((name for i, name in enumerate(names) if name in planners or name in names[:i]), None)
        if taken is not None:
            owner = planners[taken].plugin if taken in planners else plugin
            broken[plugin] = f"its planner {taken!r} has the name of one of {owner!r}; uninstall one of the two"
            continue
        planners.update(zip(names, found, strict=True))
    return Registry(planners, broken)


def _planners_of(manager: pluggy.PluginManager, plugin: str) -> list[PlannerInfo]:
    """What one plugin registers."""
    found: list[PlannerInfo] = []

    def register(name: str, help: str, needs: str, factory: Callable[..., Planner]) -> None:
        found.append(PlannerInfo(name, help, needs, plugin, factory))

    others = [module for name, module in manager.list_name_plugin() if name != plugin]
    manager.subset_hook_caller("register_planners", others)(register=register)
    return found


def planner_names() -> list[str]:
    """Every planner's name, the default first."""
    return [info.name for info in planner_info()]


def planner_info() -> list[PlannerInfo]:
    """Every planner, the default first, the others by name."""
    return sorted(registry().planners.values(), key=lambda info: (info.name != DEFAULT_PLANNER, info.name))


def broken_plugins() -> dict[str, str]:
    """Plugins that could not be used: name -> one line saying why."""
    return registry().broken


def no_such_planner(name: str, names: Iterable[str]) -> str:
    """Why there is no planner of that name: which there are, and which plugins could not be used."""
    broken = "".join(f"; plugin {plugin!r} could not be used: {why}" for plugin, why in broken_plugins().items())
    return f"planner {name!r}: no such planner; there are: {', '.join(names)}{broken}"


def get_planner(name: str, **options: Any) -> Planner:
    """Build a planner; raises :class:`UserError` for an unknown name or option, or where what it needs is not there."""
    return _info(name).factory(**check_options(name, options))


def check_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A planner's options as its factory takes them: values given as text are converted to the parameter's type.

    Raises :class:`UserError` naming an option that the planner does not take, needs, or cannot read.
    """
    factory = _info(name).factory
    parameters = inspect.signature(factory).parameters.values()
    taken = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for key in options:
        if key not in taken and not takes_any:
            raise UserError(f"planner {name!r}: takes no option {key!r}; it takes: {', '.join(taken) or 'none'}")
    for p in parameters:
        if p.name in taken and p.default is p.empty and p.name not in options:
            raise UserError(f"planner {name!r}: needs the option {p.name!r}: --planner-option {p.name}=VALUE")
    return {key: _converted(factory, name, key, value) for key, value in options.items()}


def _converted(factory: Callable[..., Planner], planner: str, key: str, value: Any) -> Any:
    """``value`` as the parameter ``key`` is annotated, where it is text and the annotation is understood."""
    if not isinstance(value, str):
        return value
    try:
        hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
        adapter: TypeAdapter[Any] = TypeAdapter(hints.get(key, str))
    except (NameError, TypeError, PydanticUserError):  # a plugin may annotate as it likes
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise UserError(f"planner {planner!r}: option {key}={value[:60]!r}: {one_line(error)}") from None


def _info(name: str) -> PlannerInfo:
    known = registry().planners
    if name not in known:
        raise UserError(no_such_planner(name, sorted(known)))
    return known[name]


def _reason(error: Exception) -> str:
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return f"{kind}{error}".splitlines()[0]
