"""The plug-ins' words: complete, current, and what the host's language makes of them."""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from ganpaint_bridge import BridgeError, Event, choices, errors, event_text, host, words
from ganpaint_bridge.errors import engine_error, error_text

from ganpaint_engine import errors as engine_errors

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))

import catalogues  # noqa: E402

VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[\d.]*[a-zA-Z]")
MNEMONIC = re.compile(r"(?<![A-Za-z])_(?=\w)|(?<=\w)_(?=\w)")

languages = pytest.mark.parametrize("language", catalogues.LANGUAGES)


@pytest.fixture(autouse=True)
def back_to_the_environment():
    yield
    words.use()


def pairs(language):
    """All messages with their translations, plural forms one by one."""
    for message in catalogues.read(language):
        if message.id and isinstance(message.id, tuple):
            yield from ((message.id[-1], string) for string in message.string)
        elif message.id:
            yield message.id, message.string


def translations(catalog):
    """All messages with their translations."""

    def plain(text):
        return text if isinstance(text, str) else tuple(text)

    return {plain(message.id): plain(message.string) for message in catalog if message.id}


@languages
def test_catalogues_are_complete_and_current(language):
    catalog = catalogues.updated(language)
    assert [one.id for one in catalogues.untranslated(catalog)] == []
    # Not byte by byte: how Babel lays the files out changes from one version to the next.
    wanted = translations(catalog)
    assert translations(catalogues.read(language)) == wanted, "run: make words"
    assert translations(catalogues.compiled(language)) == wanted, "run: make words"
    assert len(wanted) > 200


@languages
def test_placeholders_agree(language):
    for message, translated in pairs(language):
        assert Counter(PLACEHOLDER.findall(message)) == Counter(PLACEHOLDER.findall(translated))


@languages
def test_translations_end_as_their_messages_do(language):
    for message, translated in pairs(language):
        for ends in (("...", "…", " …"), (".", "。"), (":", "："), ("…", "..."), (")", "）")):
            if message.endswith(ends) and not message.endswith("…"):
                assert translated.endswith((*ends, "…")), message
        assert translated.count("\n") == message.count("\n")
        assert not translated.endswith(" ")
        assert "  " not in translated


@languages
def test_mnemonics_are_kept(language):
    for message, translated in pairs(language):
        if MNEMONIC.search(message) and " " not in message.strip("_. "):
            assert len(MNEMONIC.findall(translated)) == 1, (message, translated)
        assert translated.count("_") == message.count("_"), (message, translated)


@languages
def test_names_of_concepts_and_looks_are_told_apart(language):
    words.use(language)
    labels = Counter(host.name_label(name).lower() for name in choices._NAMES)
    doubled = [label for label, count in labels.items() if count > 1]
    assert doubled == []
    for name in choices._NAMES:
        assert host.concept_named(host.name_label(name)) == name


def test_sentences_in_each_language():
    request = host.EditRequest("tree", "add", 0.8, 3)
    named = {}
    for language in ("en", *catalogues.LANGUAGES):
        words.use(language)
        named[language] = host.layer_name(request)
    assert named == {
        "en": "GANPaint: add tree (0.8, seed 3)",
        "de": "GANPaint: Baum hinzufügen (0.8, Startwert 3)",
        "es": "GANPaint: añadir árbol (0.8, semilla 3)",
        "fr": "GANPaint – ajouter : arbre (0.8, graine 3)",
        "zh_CN": "GANPaint：添加树（0.8，种子 3）",
    }


def test_plurals():
    def waiting(count):
        return event_text(Event("queued", "j", header={"position": count}))

    words.use("de")
    assert waiting(1) == "Warten auf 1 frühere Bearbeitung …"
    assert waiting(2) == "Warten auf 2 frühere Bearbeitungen …"
    words.use("zh_CN")
    assert waiting(1) == "正在等待前面的 1 个编辑…"


# -- which language --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("de", "Baum"), ("de_AT", "Baum"), ("de-CH", "Baum"), ("DE_de.UTF-8@euro", "Baum"),
        ("fr_CA.UTF-8", "arbre"), ("es_419", "árbol"), ("zh_CN", "树"), ("zh-Hans-CN", "树"),
        ("zh_SG", "树"), ("zh", "树"), ("zh_TW", "tree"), ("zh-Hant-HK", "tree"), ("en_GB", "tree"),
        ("C", "tree"), ("C.UTF-8", "tree"), ("POSIX", "tree"), ("xx_YY", "tree"), ("", "tree"),
        ("../../etc", "tree"),
    ],
)  # fmt: skip
def test_names_of_languages(name, expected):
    words.use(name)
    assert host.name_label("tree") == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANG": "de_DE.UTF-8"}, "Baum"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "fr_FR.UTF-8"}, "arbre"),
        ({"LC_ALL": "es_ES.UTF-8", "LC_MESSAGES": "fr_FR.UTF-8"}, "árbol"),
        ({"LC_ALL": "es_ES.UTF-8", "LANGUAGE": "zh_CN:de"}, "树"),
        ({"LANGUAGE": "it:fr"}, "arbre"),
        ({"LANGUAGE": "en:fr"}, "tree"),
        ({"LANG": "", "LC_ALL": ""}, "tree"),
        ({}, "tree"),
    ],
)
def test_the_environment_says_which(environment, expected, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    words.use()
    assert host.name_label("tree") == expected


# -- errors ----------------------------------------------------------------------------------------


@languages
def test_an_engines_error_is_told_in_the_persons_language(language):
    words.use(language)
    for code in errors._SENTENCES:
        assert code in engine_errors.BY_CODE
        text = error_text(engine_error({"code": code, "message": "English.", "detail": {"n": 1}}))
        assert "English." not in text
    own = BridgeError("engine_unreachable", "made here, and translated there")
    assert error_text(own).startswith("made here")
    unknown = engine_error({"code": "of_the_future", "message": "English."})
    assert error_text(unknown) == "English."


def test_in_english_the_engines_own_message_is_shown():
    words.use("en")
    error = engine_error({"code": "unknown_concept", "message": "It has: tree, dome."})
    assert error_text(error).startswith("It has: tree, dome.")


# -- every string ----------------------------------------------------------------------------------

SOURCES = [
    path
    for path in sorted((ROOT / "plugins").rglob("*.py"))
    if path.name not in ("zmtp.py", "msgpack_lite.py")  # what goes wrong there is technical
]
SENTENCE = re.compile(r"^[A-Z“][\w’'“-]*[ …:].*[a-z]")
WORD = re.compile(r"^_?[A-Z][a-z_]+(…|\.\.\.|:)?$")
SHOWING = {
    "QLabel", "QPushButton", "addRow", "addTab", "addItem", "setText", "setTitle", "setToolTip",
    "setWindowTitle", "set_label", "set_menu_label", "set_ok_label", "set_text", "add_button",
    "new_with_mnemonic", "set_tooltip_text", "setPlaceholderText", "createAction",
}  # fmt: skip


def shown(tree):
    """Strings that look like words for people, and are not asked to be translated.

    Those of one word only where a call is known to show it.
    """
    spared = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node, clean=False
        ):
            spared.add(id(node.body[0].value))
        name = getattr(getattr(node, "func", None), "id", None)
        if name in ("_", "later", "plural", "ValueError", "TypeError", "TypeVar"):
            spared.update(id(part) for part in ast.walk(node))
        if isinstance(node, (ast.Compare, ast.Dict, ast.Subscript)):  # names of the APIs
            parts = node.keys if isinstance(node, ast.Dict) else [node]
            spared.update(id(part) for key in parts if key for part in ast.walk(key))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            for part in node.args if name in SHOWING else ():
                if isinstance(part, ast.Constant) and WORD.search(str(part.value)):
                    yield part.lineno, part.value
        text = node.value if isinstance(node, ast.Constant) and id(node) not in spared else None
        if isinstance(text, str) and SENTENCE.search(text):
            yield node.lineno, text


# Formats of the hosts' APIs, and patterns of what the engine says in English.
NOT_WORDS = {
    "Run mode", "The run mode",  # as GIMP itself has them, in English
    "This picture is unlike", "Python %s, %s", "No module named", "R'G'B' u8", "R'G'B'A u8", "Y u8",
    'To (add|remove) something .* the final blend "(\\w+)"',
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_string_for_people_can_be_translated(source):
    tree = ast.parse(source.read_text(encoding="utf-8"))
    found = [
        f"{source.name}:{line}: {text!r}" for line, text in shown(tree) if text not in NOT_WORDS
    ]
    assert found == []
