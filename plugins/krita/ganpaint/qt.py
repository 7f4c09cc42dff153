"""Qt as this Krita has it: Krita 6 embeds Qt 6 and refuses PyQt5, Krita 5 the other way round."""

try:
    from PyQt6.QtCore import QByteArray, QTimer
    from PyQt6.QtWidgets import (
        QComboBox,
        QDoubleSpinBox,
        QFormLayout,
        QHBoxLayout,
        QLabel,
        QMenu,
        QProgressBar,
        QPushButton,
        QSpinBox,
        QVBoxLayout,
        QWidget,
    )
except ImportError:
    from PyQt5.QtCore import QByteArray, QTimer
    from PyQt5.QtWidgets import (
        QComboBox,
        QDoubleSpinBox,
        QFormLayout,
        QHBoxLayout,
        QLabel,
        QMenu,
        QProgressBar,
        QPushButton,
        QSpinBox,
        QVBoxLayout,
        QWidget,
    )

__all__ = [
    "QByteArray",
    "QComboBox",
    "QDoubleSpinBox",
    "QFormLayout",
    "QHBoxLayout",
    "QLabel",
    "QMenu",
    "QProgressBar",
    "QPushButton",
    "QSpinBox",
    "QTimer",
    "QVBoxLayout",
    "QWidget",
]
