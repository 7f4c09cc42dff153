"""Qt as this Krita has it: Krita 6 embeds Qt 6 and refuses PyQt5, Krita 5 the other way round.

Enums are written in full (``Qt.WidgetAttribute.WA_…``), which both understand.
"""

try:
    from PyQt6 import QtCore, QtGui, QtWidgets
except ImportError:
    from PyQt5 import QtCore, QtGui, QtWidgets

__all__ = ["QtCore", "QtGui", "QtWidgets"]
