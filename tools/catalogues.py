"""The plug-ins' words: extract them from the sources, and compile the translations.

    python tools/catalogues.py        brings every catalogue up to date and compiles it (make words)
    python tools/catalogues.py list   prints what is not translated yet

The catalogues are ``plugins/bridge/ganpaint_bridge/locale/LANGUAGE/LC_MESSAGES/ganpaint.po``;
``ganpaint.mo`` beside each is what the plug-ins read. Places in the sources are left out of them:
they would change with every line moved.
"""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"
LOCALE = PLUGINS / "bridge" / "ganpaint_bridge" / "locale"
LANGUAGES = ("de", "es", "fr", "zh_CN")
KEYWORDS = {"_": None, "later": None, "plural": (1, 2)}
_NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)  # else it would be that of each compilation
_HEADER = "# GANPaint's plug-ins. Keep the placeholders (%s, %(name)s), and the _ before a key.\n"


def po_file(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "ganpaint.po"


def extracted() -> Catalog:
    """All messages of the plug-ins' sources, untranslated."""
    catalog = Catalog(project="GANPaint", charset="utf-8")
    found = extract_from_dir(PLUGINS, [("**.py", "python")], keywords=KEYWORDS)
    for _, _, message, _, context in sorted(found, key=lambda one: str(one[2])):
        catalog.add(message, context=context)
    return catalog


def read(language: str) -> Catalog:
    """A catalogue as it is in its file; an empty one where there is none."""
    file = po_file(language)
    if not file.is_file():
        return Catalog(locale=language, charset="utf-8")
    with file.open("rb") as opened:
        return read_po(opened, locale=language, charset="utf-8", abort_invalid=True)


def compiled(language: str) -> Catalog:
    """What the plug-ins read of a catalogue."""
    with po_file(language).with_suffix(".mo").open("rb") as opened:
        return read_mo(opened)


def updated(language: str) -> Catalog:
    """The catalogue with the messages of the sources and no others, its translations kept."""
    kept = read(language)
    header = _HEADER.rstrip()
    catalog = Catalog(
        language, None, header, "GANPaint", charset="utf-8", language_team="GANPaint", fuzzy=False
    )
    # The file's own, for Babel's rules change from one version to the next.
    catalog.mime_headers = [("Plural-Forms", kept.plural_forms)]
    for message in extracted():
        if message.id:
            old = kept.get(message.id)
            # A message may have got a plural since, or lost it.
            same = old is not None and old.pluralizable == message.pluralizable
            catalog.add(message.id, old.string if old is not None and same else "")
    return catalog


def untranslated(catalog: Catalog) -> list[Message]:
    return [one for one in catalog if one.id and (one.fuzzy or not _whole(one))]


def _whole(message: Message) -> bool:
    strings = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
    return bool(strings) and all(strings)


def po_bytes(catalog: Catalog) -> bytes:
    """The .po file, without dates: the same translations make the same file."""
    out = io.BytesIO()
    write_po(out, catalog, width=100, sort_output=True, include_previous=False)
    lines = out.getvalue().decode("utf-8").splitlines(keepends=True)
    unstable = ('"POT-Creation', '"PO-Revision', '"Generated-By', '"Last-Trans', '"Report-Msgid')
    return "".join(line for line in lines if not line.startswith(unstable)).encode()


def mo_bytes(catalog: Catalog) -> bytes:
    """The compiled catalogue of what ``catalog``'s .po file holds."""
    out = io.BytesIO()
    same = read_po(io.BytesIO(po_bytes(catalog)), locale=catalog.locale)
    same.creation_date = same.revision_date = _NO_DATE
    write_mo(out, same)
    return out.getvalue()


def main(arguments: list[str]) -> int:
    missing = 0
    for language in LANGUAGES:
        catalog = updated(language)
        for message in untranslated(catalog):
            missing += 1
            if arguments == ["list"]:
                print(f"{language}: {message.id!r}")
        if not arguments:
            file = po_file(language)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(po_bytes(catalog))
            file.with_suffix(".mo").write_bytes(mo_bytes(catalog))
    print(f"{missing} messages are not translated")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
