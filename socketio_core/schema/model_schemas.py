"""JSON Schemas of types that contain models of pydantic, as pydantic writes them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from socketio_core.payloads.models import contains_model

Schema = dict[str, Any]


class ModelSchemas(NamedTuple):
    """The schemas of the types that contain a model, and the definitions of these models."""

    found: list[tuple[Any, bool, Schema]]
    definitions: dict[str, Schema]

    def get(self, annotation: Any, is_sent: bool) -> Schema | None:
        """Return the schema of a type, or None if the type contains no model."""
        for each, each_is_sent, schema in self.found:
            if each_is_sent is is_sent and each == annotation:
                return schema
        return None


def describe_models(
    received: Collection[Any], sent: Collection[Any], prefix: str, taken: Collection[str]
) -> ModelSchemas:
    """Return the schemas of the types that contain a model; `taken` are names of other types.

    A model that is used in both directions may have two schemas: the name of the received one ends
    with "Input". Raises TypeError for a type that pydantic cannot describe.
    """
    types = [(each, False) for each in received if contains_model(each)]
    types += [(each, True) for each in sent if contains_model(each)]
    if not types:
        return ModelSchemas([], {})
    from pydantic import TypeAdapter  # noqa: PLC0415 - optional
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415

    class Generator(GenerateJsonSchema):
        """A generator for which a sent field is present even if it has a default."""

        def field_is_required(self, field: Any, total: bool) -> bool:
            if self.mode == "serialization" and field["type"] != "typed-dict-field":
                return True
            return super().field_is_required(field, total)

    inputs = [
        (index, "serialization" if is_sent else "validation", TypeAdapter(each))
        for index, (each, is_sent) in enumerate(types)
    ]
    try:
        schemas, document = TypeAdapter.json_schemas(
            inputs,  # type: ignore[arg-type]
            ref_template="{model}", schema_generator=Generator,
        )  # fmt: skip
    except Exception as error:
        raise TypeError(f"pydantic cannot describe a type: {error}") from None
    definitions = document.get("$defs", {})
    names = {name: _plain_name(name, definitions, taken) for name in definitions}
    found = [
        (each, is_sent, _rename(schemas[index, mode], names, prefix))  # type: ignore[index]
        for (each, is_sent), (index, mode, _) in zip(types, inputs, strict=True)
    ]
    return ModelSchemas(
        found, {names[name]: _rename(each, names, prefix) for name, each in definitions.items()}
    )


def _plain_name(name: str, every: Collection[str], taken: Collection[str]) -> str:
    """Return an identifier for a definition, such as `TaskInput` for `Task-Input`."""
    plain = name.removesuffix("-Output").replace("-Input", "Input")
    plain = "".join(each for each in plain if each.isalnum() or each == "_")
    base, number = plain, 1
    while plain in taken or (plain != name and plain in every):
        number += 1
        plain = f"{base}{number}"
    return plain


def _rename(schema: Any, names: dict[str, str], prefix: str) -> Any:
    """Return a schema whose references lead to the new names."""
    if isinstance(schema, list):
        return [_rename(each, names, prefix) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: prefix + names[value] if key == "$ref" else _rename_value(key, value, names, prefix)
        for key, value in schema.items()
    }


def _rename_value(key: str, value: Any, names: dict[str, str], prefix: str) -> Any:
    if key == "discriminator" and isinstance(value, dict) and "mapping" in value:
        mapping = {tag: prefix + names[name] for tag, name in value["mapping"].items()}
        return {**value, "mapping": mapping}
    return _rename(value, names, prefix)
