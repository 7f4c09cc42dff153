"""The words of the plug-ins in the person's language: ``from ganpaint_bridge.words import _``.

Catalogues lie in ``locale/<language>/LC_MESSAGES/ganpaint.mo``; English is in the source. The
language is that of the environment (LANGUAGE, LC_ALL, LC_MESSAGES, LANG), which GIMP sets to its
own; a host with another way to choose calls use(). Ask for words when they are shown: at import
time the host may not have said its language yet.
"""

from __future__ import annotations

import gettext
import os
from typing import List, Optional

DOMAIN = "ganpaint"
_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "locale")
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")

_words: Optional[gettext.NullTranslations] = None


def use(language: Optional[str] = None) -> None:
    """Speak ``language`` ("de", "fr_CA", "zh-Hans-CN"; QLocale's names), or the environment's."""
    global _words
    languages = _from_environment() if language is None else [language]
    codes: List[str] = []
    for code in languages:
        codes += _candidates(code)
    if "en" in codes:  # what the person prefers less than English is not to be used
        codes = codes[: codes.index("en")]
    _words = gettext.translation(DOMAIN, _FOLDER, codes or ["en"], fallback=True)


def _(message: str) -> str:
    """``message`` in the person's language."""
    return _catalogue().gettext(message)


def is_english() -> bool:
    """Whether what is shown is as it stands in the source."""
    return not isinstance(_catalogue(), gettext.GNUTranslations)


def plural(one: str, many: str, number: int) -> str:
    """``one`` or ``many``, as the language has it for ``number``, which is not filled in."""
    return _catalogue().ngettext(one, many, number)


def later(message: str) -> str:
    """Marks a message to be translated that is shown by ``_(…)`` elsewhere."""
    return message


def _catalogue() -> gettext.NullTranslations:
    if _words is None:
        use()
    assert _words is not None
    return _words


def _from_environment() -> List[str]:
    """Wished languages, the first the most; as gettext itself looks for them."""
    for name in _VARIABLES:
        value = os.environ.get(name)
        if value:
            return value.split(":") if name == "LANGUAGE" else [value]
    return []


def _candidates(code: str) -> List[str]:
    """Catalogues for a language's name, best first: "fr_CA.UTF-8" -> fr_CA, fr."""
    parts = code.split(".", maxsplit=1)[0].split("@", maxsplit=1)[0].replace("-", "_").split("_")
    base = parts[0].lower()
    if base in ("c", "posix", ""):
        return ["en"]
    if base == "zh":  # there is simplified Chinese only; who reads traditional gets English
        traditional = {"hant", "tw", "hk", "mo"} & {part.lower() for part in parts[1:]}
        return ["en"] if traditional else ["zh_CN"]
    return ["_".join(parts), base]
