"""What mkdocs asks while it builds the site: which files there are, and what a page says."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

from tools.docs import reference
from tools.docs.links import ROOT, in_repository, is_outside, resolved, rewritten, site_path, spaced, targets


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and all files of the repository that are linked, from page to page."""
    for uri, text in reference.pages(ROOT).items():
        files.append(File.generated(config, uri, content=text))
    waiting = [file for file in files if file.is_documentation_page() and file.abs_src_path]
    while waiting:
        page = in_repository(waiting.pop().src_uri)
        linked = {resolved(page, target) for target in targets((ROOT / page).read_text()) if not is_outside(target)}
        missing = {path for path in linked if (ROOT / path).is_file() and site_path(path) not in files.src_uris}
        for path in sorted(missing):
            file = File.generated(
                config, site_path(path), abs_src_path=str(ROOT / path), inclusion=InclusionLevel.NOT_IN_NAV
            )
            files.append(file)
            if file.is_documentation_page():
                waiting.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Let the page's links lead to where the site has the files, and its lists be lists."""
    if page.file.src_uri.startswith('reference/'):
        return markdown
    return spaced(rewritten(in_repository(page.file.src_uri), markdown, lambda path: site_path(path) in files.src_uris))
