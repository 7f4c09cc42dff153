"""Qt as this Krita has it."""

try:
    from PyQt6 import QtCore, QtWidgets
except ImportError:
    from PyQt5 import QtCore, QtWidgets

__all__ = ["QtCore", "QtWidgets"]
