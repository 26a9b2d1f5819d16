"""The page of equations: `{equation-table}` lists the registry, chapter by chapter.

A number leads to the equation in its chapter, a function to its reference, a test to its source. The
role `{equation}` makes such a number anywhere in a page: `{equation}`2.4``.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from vmtl_core.lab.registry import EQUATIONS, TABLE, Equation

HEADS = {"Number": 9, "Equation": 31, "Code": 35, "Tests": 25}


class EquationTable(SphinxDirective):
    """One table a chapter; a chapter that is not in the book yet has no links."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(TABLE))
        result: list[nodes.Node] = []
        for chapter, equations in groupby(EQUATIONS, key=lambda equation: equation.chapter):
            result += [self.heading(chapter), self.table(list(equations))]
        return result

    def is_in_the_book(self, chapter: str) -> bool:
        return f"book/{chapter}" in self.env.found_docs

    def heading(self, chapter: str) -> nodes.Node:
        """The chapter's title, which leads to it."""
        heading = nodes.rubric()
        if self.is_in_the_book(chapter):
            heading += self.cross_reference("std", "doc", f"/book/{chapter}")
        else:
            number, *words = chapter.split("_")
            heading += nodes.Text(f"{int(number)}. {' '.join(words).capitalize()}")
        return heading

    def table(self, equations: Sequence[Equation]) -> nodes.Node:
        group = nodes.tgroup(cols=len(HEADS))
        group += [nodes.colspec(colwidth=width) for width in HEADS.values()]
        head, body = nodes.thead(), nodes.tbody()
        head += row([nodes.Text(name)] for name in HEADS)
        body += [
            row(
                [
                    [self.number(equation)],
                    [nodes.Text(equation.title)],
                    stacked(self.function(path) for path in equation.functions),
                    stacked(self.test(test) for test in equation.tests),
                ]
            )
            for equation in equations
        ]
        group += [head, body]
        return nodes.table("", group, classes=["colwidths-given", "equations"])

    def number(self, equation: Equation) -> nodes.Node:
        text = f"({equation.number})"
        if not self.is_in_the_book(equation.chapter):
            return nodes.Text(text)
        page = self.env.app.builder.get_relative_uri(self.env.docname, f"book/{equation.chapter}")
        return nodes.reference("", text, internal=True, refuri=f"{page}#{equation.anchor}")

    def function(self, path: str) -> nodes.Node:
        """A link to the docstring; what `vmtl_core` does not export stands without its module."""
        short = re.sub(r"^vmtl_core\.(lab\.)?([a-z]\w*\.)?", "", path)
        return self.cross_reference("py", "obj", path, short)

    def test(self, test: str) -> nodes.Node:
        """The test's name as words; a link to its file, if `_config.yml` names a repository."""
        file, name = test.split("::")
        theme = self.config.html_theme_options
        words = name.removeprefix("test_").replace("_", " ")
        if not theme.get("repository_url"):
            return nodes.Text(words)
        uri = f"{theme['repository_url']}/blob/{theme['repository_branch']}/{file}"
        return nodes.reference("", words, refuri=uri, reftitle=test)

    def cross_reference(self, domain: str, kind: str, target: str, text: str = "") -> nodes.Node:
        link = addnodes.pending_xref(
            refdomain=domain,
            reftype=kind,
            reftarget=target,
            refdoc=self.env.docname,
            refexplicit=bool(text),
            refwarn=True,
        )
        link += nodes.literal("", text) if text else nodes.inline("", target)
        self.set_source_info(link)
        return link


class EquationLink(SphinxRole):
    """A number of the registry, which leads to the equation in its chapter."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        found = [one for one in EQUATIONS if one.number == self.text]
        if not found:
            said = f"no equation has the number {self.text!r}"
            return [], [self.inliner.reporter.error(said, line=self.lineno)]
        page = self.env.app.builder.get_relative_uri(self.env.docname, f"book/{found[0].chapter}")
        uri = f"{page}#{found[0].anchor}"
        return [nodes.reference("", f"({self.text})", internal=True, refuri=uri)], []


def row(cells: Any) -> nodes.Node:
    """A row of a table from the inline nodes of its cells."""
    result = nodes.row()
    for inline in cells:
        entry = nodes.entry()
        if inline:
            entry += nodes.paragraph("", "", *inline)
        result += entry
    return result


def stacked(links: Any) -> list[nodes.Node]:
    """Links with a comma between."""
    result: list[nodes.Node] = []
    for link in links:
        result += [nodes.Text(", "), link] if result else [link]
    return result


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("equation-table", EquationTable)
    app.add_role("equation", EquationLink())
    return {"version": "1", "parallel_read_safe": True}
