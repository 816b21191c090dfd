"""What is put on record about a composition: every setting written out, and who provided each component. No torch."""

from __future__ import annotations

from typing import Any

from trackcli.composition.defaults import Completed
from trackcli.composition.plan import Plan, Planned
from trackcli.config.origins import COMPLETE, COMPONENTS, leaves
from trackcli.config.recipe import Part, Recipe
from trackcli.config.toml import to_toml


def full_recipe(planned: Plan) -> Recipe:
    """The plan's recipe with every setting written out, so that changed defaults cannot change old files."""
    recipe = planned.recipe
    all_links = (*planned.candidate_links, planned.select, *planned.track_links)
    links = {link.spec.name: link for link in all_links}
    return recipe.model_copy(
        update={
            "backbone": _full_part(recipe.backbone, planned.backbone),
            "matcher": _full_part(recipe.matcher, planned.matcher),
            "head": _full_part(recipe.head, planned.head),
            "loss": tuple(_full_part(*pair) for pair in zip(recipe.loss, planned.losses, strict=True)),
            "postprocessor": tuple(
                _full_part(part, links[part.name.rpartition(":")[2]]) for part in recipe.postprocessor
            ),
            "normalisation": planned.normalisation,
            "sampler": _full_part(recipe.sampler, planned.sampler),
        }
    )


def component_versions(planned: Plan) -> dict[str, str]:
    """``kind:name`` → ``distribution version`` for every component of the plan."""
    parts = (planned.backbone, planned.matcher, planned.head, planned.sampler, *planned.losses)
    links = (*planned.candidate_links, planned.select, *planned.track_links)
    return {f"{part.spec.kind}:{part.spec.name}": part.provider for part in (*parts, *links)}


def recipe_data(planned: Plan) -> dict[str, Any]:
    """The whole recipe as nested plain data, in the form of a configuration file."""
    return full_recipe(planned).model_dump(mode="json", exclude_none=True)


def recipe_origins(completed: Completed, planned: Plan) -> dict[str, str]:
    """The origin of every setting of the whole recipe, by its key as ``--set`` takes it."""
    return {".".join(key): completed.origin(key) for key in leaves(recipe_data(planned))}


def recipe_toml(completed: Completed, planned: Plan) -> str:
    """The whole recipe as a configuration file that needs no preset, with the origin of every setting behind it.

    Its section ``components`` says which distributions wrote it, so that later versions can migrate its settings.
    """
    data = {COMPLETE: True, **recipe_data(planned), COMPONENTS: component_versions(planned)}
    comments = {key: completed.origin(key) for key in leaves(recipe_data(planned))}
    return to_toml(data, comments | {(COMPLETE,): "a whole recipe: nothing is filled in from a preset"})


def _full_part(part: Part, planned: Planned) -> Part:
    """The part under the name that the recipe gave it: ``distribution:name`` stays, it may be needed to find it."""
    return Part(name=part.name, **planned.config.model_dump(mode="json"))
