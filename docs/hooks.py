"""How the pages of docs/ become a site: README is its front page, and what lies outside docs/ is named, not linked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
SHIM = "https://unpkg.com/iframe-worker/shim"
"""What the theme would fetch so that search works in pages opened from a folder; docs/assets has it."""
LOCAL = "assets/iframe-worker.js"
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the front page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = re.sub(r"\]\(docs/", "](", readme)
    files.append(File.generated(config, "index.md", content=readme))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Name sources and recipes, which are not part of the site, by their paths."""

    def named(match: re.Match[str]) -> str:
        text, target, _ = match.groups()
        if target.startswith(("http://", "https://")):
            return match.group()
        inside = (Path(config.docs_dir) / Path(page.file.src_uri).parent / target).resolve()
        known = files.get_file_from_path(str(Path(page.file.src_uri).parent / target)) is not None
        if known:
            return match.group()
        for base in (inside, ROOT / target):
            if base.exists():
                return f"{text} (`{base.relative_to(ROOT)}`)"
        return match.group()  # leads nowhere: the strict build says so

    return LINK.sub(named, markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Have the page load nothing from elsewhere."""
    return output.replace(SHIM, "../" * page.url.count("/") + LOCAL)


def on_post_template(output: str, template_name: str, config: Any) -> str:
    """The same for 404.html, which a server may show anywhere."""
    return output.replace(SHIM, f"/{LOCAL}")
