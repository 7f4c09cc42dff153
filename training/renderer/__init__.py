"""Photographs of churches and houses with label maps, rendered with Blender's Cycles.

    .venv-render/bin/python -m training.renderer render SCENES --count 1000 --size 256

Blender's ``bpy`` package needs Python 3.11 and a numpy older than the engine's, so it has an
environment of its own (``make render-env``). Nothing here imports the engine or torch.
"""
