"""Made parts of the site, and the check of what it loads; ``make site`` builds it whole."""

import re
from pathlib import Path

import pytest
import yaml

from bitswitch.plugins import registry
from docs.generate import offline, unmoved

TOP = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="preload stylesheet" href="//cdn.example/x.css">',
        '<link rel="preconnect" href="https://fonts.example">',
        '<img alt="" src="http://example.org/x.png">',
        '<p style="background: url(https://example.org/x.png)">x</p>',
        "<style>@import 'https://fonts.example/x.css';</style>",
        '<pre class="mermaid">graph</pre>',
    ],
)
def test_whatever_a_browser_would_fetch_elsewhere_is_found(text, tmp_path):
    assert len(offline.in_page(text)) == 1
    (tmp_path / "page.html").write_text(text)
    assert offline.requests(tmp_path)[0].startswith("page.html: ")


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://example.org">x</a>',
        '<link rel="canonical" href="https://example.org/x">',
        '<img src="data:image/png;base64,AAAA//BBBB">',
        '<script src="assets/x.js"></script>',
        "<p>@import 'https://fonts.example/x.css';</p>",
    ],
)
def test_links_and_what_lies_beside_it_are_no_requests(text):
    assert offline.in_page(text) == []


def test_style_sheets_are_read_too(tmp_path):
    (tmp_path / "x.css").write_text("@font-face { src: url('https://fonts.example/x.woff') }")
    assert offline.requests(tmp_path) == ["x.css: https://fonts.example/x.woff"]


@pytest.mark.parametrize(
    ("source", "place", "link", "expected"),
    [
        ("config/README.md", "reference/settings.md", "../docs/errata.md", "../errata.md"),
        ("CHANGELOG.md", "changelog.md", "docs/howto/lm-eval.md#x", "howto/lm-eval.md#x"),
        ("docs/reference/x.md", "reference/x.md", "../../config/README.md", "settings.md"),
        ("docs/howto/x.md", "howto/x.md", "../decisions/", "../decisions/index.md"),
        ("docs/howto/x.md", "howto/x.md", "../../README.md", "../index.md"),
        ("docs/howto/x.md", "howto/x.md", "https://example.org", "https://example.org"),
        ("docs/howto/x.md", "howto/x.md", "nowhere.md", "nowhere.md"),
    ],
)
def test_links_lead_to_pages(source, place, link, expected):
    assert unmoved.relinked(f"a [b]({link}) c", source, place) == f"a [b]({expected}) c"


def test_what_is_no_page_is_named():
    assert unmoved.relinked("see [it](../Makefile).", "docs/x.md", "x.md") == "see it."


def test_every_decision_is_listed():
    assert unmoved.decisions().count("\n- ") + 1 == len(list(TOP.glob("docs/decisions/0*.md")))


def test_sessions_are_code():
    examples = pytest.importorskip("docs.generate.examples")
    text = "One.\n\n>>> f()\n['step']\n\nTwo."
    assert examples.fenced(text) == "One.\n\n```pycon\n>>> f()\n['step']\n```\n\nTwo."


def test_every_plugin_and_option_is_documented():
    plugins = pytest.importorskip("docs.generate.plugins")
    pages = {
        "methods": plugins.methods(),
        "searches": plugins.searches(),
        "sensitivities": plugins.sensitivities(),
    }
    pages["models"] = pages["datasets"] = plugins.networks_and_datasets()
    for group, page in pages.items():
        for name in registry.names(group):
            (section,) = re.findall(rf"^##+ {name}\n(.*?)(?=^##+ |\Z)", page, re.M | re.S)
            for option in registry.load(group, name).Options.model_fields:
                assert f"| `{option}` |" in section
    assert '| `weight_granularity` | string | `"per-tensor"` |' in pages["methods"]
    assert "`{}`" not in pages["methods"]


def test_every_key_of_a_suite_is_explained():
    """Nothing stands in its table without a meaning."""
    keys = pytest.importorskip("docs.generate.keys")
    rows = [line for line in keys.part().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_command_and_option_stands_on_its_page():
    from typer.main import get_command

    from bitswitch.cli.app import app

    commands = pytest.importorskip("docs.generate.commands")
    page = commands.part()
    assert "bitswitch validate SUITE...\n" in page
    assert "| `--results RESULTS` | `results` |" in page
    for name, command in get_command(app).commands.items():
        assert f"### bitswitch {name}" in page
        for parameter in command.params:
            assert all(option in page for option in parameter.opts if option.startswith("--"))


def test_every_page_is_in_the_navigation():
    text = (TOP / "mkdocs.yml").read_text()
    pages = {str(path.relative_to(TOP / "docs")) for path in (TOP / "docs").rglob("*.md")}
    listed = {page for page in pages if f": {page}\n" in text}
    assert {page for page in pages - listed if not page.startswith("decisions/0")} == set()


def test_the_site_asks_nobody():
    """Fonts and search are its own; nothing of a repository's host is shown."""
    settings = yaml.safe_load((TOP / "mkdocs.yml").read_text())
    assert settings["theme"]["font"] is False
    assert not settings.keys() & {"repo_url", "extra_javascript"}
    assert settings["strict"]
