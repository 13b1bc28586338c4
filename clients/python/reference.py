"""The reference of the client as Markdown, from its types and docstrings. `scripts/docs generate` writes it into the manual."""

import dataclasses
import inspect
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

import dialstack_sessions  # noqa: E402
import dialstack_sessions.django  # noqa: E402
import dialstack_sessions.sqlalchemy  # noqa: E402
import dialstack_sessions.starlette  # noqa: E402
from dialstack_sessions import Client, SessionError, browser, client, figures, rows  # noqa: E402
from dialstack_sessions.calls import options  # noqa: E402

NAMESPACES = {
    "sessions": client.Sessions,
    "account_sessions": client.AccountSessions,
    "client_sessions": client.ClientSessions,
    "definitions": client.Definitions,
    "keys": client.Keys,
}
MODULES = {
    "Starlette and FastAPI": dialstack_sessions.starlette,
    "Django": dialstack_sessions.django,
    "SQLAlchemy and Alembic": dialstack_sessions.sqlalchemy,
}


def code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def doc(thing: object) -> str:
    return " ".join((inspect.getdoc(thing) or "").split())


def parameter(p: inspect.Parameter) -> str:
    stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
    text = stars + p.name
    if p.annotation is not p.empty:
        text += f": {p.annotation}"
    if p.default is not p.empty:
        text += f" = {p.default!r}"
    return text


def signature(name: str, function: object) -> str:
    """name(arguments) → result, without self."""
    said = inspect.signature(function)  # type: ignore[arg-type]
    parts, starred = [], False
    for p in said.parameters.values():
        if p.name == "self":
            continue
        if p.kind is p.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        parts.append(parameter(p))
    result = said.return_annotation
    result = "" if result is said.empty or name[0].isupper() else re.sub(r"^Call\[(.*)\]$", r"\1", str(result))
    return f"{name}({', '.join(parts)})" + (f" → {result}" if result and result != "None" else "")


def entry(name: str, function: object) -> str:
    """A line of a list. Without table cells, so that a bar is a bar."""
    return f"- `{signature(name, function)}`: {doc(function)}"


def members(cls: type) -> list[str]:
    lines = [f"- `{name}: {kind}`" for name, kind in vars(cls).get("__annotations__", {}).items() if name[0] != "_"]
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            lines.append(f"- `{name}`: {doc(member.fget)}")
        elif inspect.isfunction(member):
            lines.append(entry(name, member))
    return lines


def table(head: list[str], lines: list[list[str]]) -> str:
    made = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*made, *("| " + " | ".join(line) + " |" for line in lines)])


def dataclass_line(cls: type) -> list[str]:
    fields = ", ".join(code(f"{f.name}: {f.type}") for f in dataclasses.fields(cls))
    return [code(cls.__name__), doc(cls) if not doc(cls).startswith(cls.__name__ + "(") else "", fields]


def variants() -> list[str]:
    """What `sessions.create` takes."""
    lines = []
    for options_of in (options.NewSession, options.NewDefinition, options.NewAccountSession):
        needed = [name for name, kind in options_of.__annotations__.items() if "Required[" in str(kind)]
        others = [name for name in options_of.__annotations__ if name not in needed]
        lines.append(f"  - {doc(options_of)} Needs {', '.join(map(code, needed))}; takes {', '.join(map(code, others))}.")
    return lines


def reference() -> str:
    parts = ["## The clients", doc(Client)]
    parts += [f"`{signature('Client', Client.__init__)}`", "\n".join(members(Client))]
    parts.append(
        doc(dialstack_sessions.AsyncClient)
        + " Its methods, and those of its namespaces, are the same and awaited; `presenting` is for `async with`."
    )
    for name, cls in NAMESPACES.items():
        lines = []
        for method, function in vars(cls).items():
            if method.startswith("_"):
                continue
            if method == "create" and cls is client.Sessions:
                lines += [f"- `create(**options)`: {doc(function)}", *variants()]
            elif method == "list_active":
                lines.append("- `list_active`: the same as `list`.")
            else:
                lines.append(entry(method, function))
        parts += [f"## client.{name}", doc(cls), "\n".join(lines)]
    parts += ["## SessionError", doc(SessionError)]
    parts.append("Its fields: `code`, `message`, `detail`, `hint`, `sqlstate`.")
    classes = [cls for module in (rows, figures) for cls in vars(module).values() if dataclasses.is_dataclass(cls)]
    parts += ["## Results", "Frozen dataclasses. A field that holds a token does not show in `repr()`."]
    parts.append(table(["class", "what it is", "fields"], [dataclass_line(cls) for cls in classes]))
    for title, module in MODULES.items():
        parts += [f"## {title}", f"Module `{module.__name__}`. {doc(module)}"]
        lines = []
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(thing):
                lines.append(entry(name, thing))
            elif isinstance(thing, type):
                lines.append(f"- `{signature(name, thing.__init__)}`: {doc(thing)}")
                both = [*(members(browser.BrowserSession) if issubclass(thing, browser.BrowserSession) else []), *members(thing)]
                lines += [f"  {line}" for line in both]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
