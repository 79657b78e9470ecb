"""Each code block of the documentation has a test, or a reason why it has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import PLAIN, CodeBlock, blocks_of, documents

#: Languages of blocks, and the module that tests them.
TESTED = {
    "python": "test_documentation", "ipython": "test_documentation",
    "sh": "test_shell_blocks", "console": "test_shell_blocks",
    "js": "test_javascript_blocks", "ts": "test_javascript_blocks",
    "toml": "test_configuration_blocks", "json": "test_configuration_blocks",
    "yaml": "test_configuration_blocks", "ini": "test_configuration_blocks",
    "sql": "test_configuration_blocks", "redis": "test_configuration_blocks",
    "nginx": "../proxies/test_configurations", "haproxy": "../proxies/test_configurations",
    "apache": "../proxies/test_configurations", "caddy": "../proxies/test_configurations",
    "mermaid": "test_site", "html": "test_tutorials",
}  # fmt: skip
#: The generator of this document runs its commands, and a test compares their output.
GENERATED = {"formats.md"}


def all_blocks() -> list[CodeBlock]:
    """Return the code blocks of all documents."""
    return [block for document in documents() for block in blocks_of(document)]


@pytest.mark.parametrize("document", documents(), ids=lambda document: document.name)
def test_code_blocks_have_a_test_or_a_reason(document: Path) -> None:
    for block in blocks_of(document):
        if document.name not in GENERATED:
            assert block.reason or block.language in TESTED, (
                f"{block}: no test runs a block of the language {block.language!r}. Use a language "
                f"of {sorted(TESTED)}, or write <!-- not run: the reason --> above the block"
            )


@pytest.mark.parametrize("document", documents(), ids=lambda document: document.name)
def test_every_fence_belongs_to_a_block(document: Path) -> None:
    # A block with an unusual fence would be hidden from the tests.
    lines = document.read_text("utf-8").splitlines()
    fences = [line for line in lines if line.lstrip().startswith(("```", "~~~"))]
    assert len(fences) == 2 * len(blocks_of(document)), fences


def test_modules_of_the_tests_exist() -> None:
    here = Path(__file__).parent
    for module in TESTED.values():
        assert (here / f"{module}.py").is_file(), module
    assert not (PLAIN - {"mermaid"}) & set(TESTED)


def test_blocks_without_a_test_are_few_and_explained() -> None:
    skipped = [block for block in all_blocks() if block.reason]
    assert all(len(block.reason.split()) > 1 for block in skipped)
    assert len(skipped) * 5 < len(all_blocks())
