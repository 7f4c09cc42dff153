"""One edit of one layer, from the stroke to the new layer; with a window or without one."""

from typing import NamedTuple, Optional

import gi

gi.require_version("Gimp", "3.0")
import picture  # noqa: E402
import result  # noqa: E402
from ganpaint_bridge import BridgeError, host  # noqa: E402
from ganpaint_bridge.words import _  # noqa: E402
from gi.repository import Gimp  # noqa: E402

# Of a preview: the network sees far fewer, and more take longer to send than to work on.
_PREVIEW_PIXELS = 1 << 20


class Target(NamedTuple):
    """What an edit is made of: the layer; the edit that it takes the place of; its stroke.

    ``stroke`` None: what is selected when the edit begins.
    """

    layer: "Gimp.Layer"
    replaced: Optional["Gimp.Layer"] = None
    stroke: Optional[picture.Stroke] = None


def target(image, drawables):
    """The layer chosen, or the photo below it where that is an edit. Raises BridgeError."""
    layer = picture.plain_layer(image, drawables)
    return Target(layer if result.recipe_of(layer) is None else _source(image, layer))


def target_again(image, drawables):
    """The edit chosen, or the last one of the photo chosen, to be made anew. Raises BridgeError.

    -> the target, and what was asked for.
    """
    edit = _made_by_us(image, drawables)
    recipe = result.recipe_of(edit)
    reason = host.why_not_again(recipe, host.DEFAULT_OFFER)
    if reason is not None:
        raise host.wrong_layer(reason)
    return Target(_source(image, edit), edit, result.stroke_of(edit)), host.read_recipe(recipe)


def _made_by_us(image, drawables):
    """The edit's layer that is chosen, or the last one of the photo chosen. Raises BridgeError."""
    layer = picture.plain_layer(image, drawables)
    edit = layer if result.recipe_of(layer) is not None else result.latest_edit_of(image, layer)
    if edit is None:
        raise host.wrong_layer(
            _("This layer was not made by GANPaint. Choose a layer named “GANPaint: …”.")
        )
    return edit


def _source(image, edit):
    source = result.source_of(image, edit)
    if source is None:
        raise host.wrong_layer(_("The layer that this edit was made from is gone."))
    return source


class Work:
    """Previews and the final edit of one target; nothing here waits for the engine."""

    def __init__(self, image, what, editing):
        self.image = image
        self.editing = editing
        self.layer = None  # the new one, once it is there
        self._target = what
        self._reading = None
        self._kept = None  # for the next preview: what the last one was read for, and the reading
        self._on_canvas = False
        self._preview = result.Preview(image, what.replaced)
        # GIMP keeps an image for as long as a procedure has it as its argument: whether the person
        # has closed it shows in the display from which the menu entry was called.
        self._display = Gimp.default_display()

    @property
    def busy(self):
        """Whether an edit or a preview is on its way."""
        return self.editing.busy

    def is_open(self):
        """Whether the image is still there."""
        shown = self._display is None or self._display.is_valid()
        return shown and self.image.is_valid()

    def selection(self):
        """What tells one selection from another, cheaply; None once the image is closed."""
        if not self.is_open():
            return None
        return tuple(Gimp.Selection.bounds(self.image))[1:]

    def start(self, request, on_canvas=False):
        """Send an edit that is to stay, or only to be shown ``on_canvas``. Raises BridgeError.

        The result of an earlier one is no longer wanted; previews are to be started one by one.
        """
        if not self.is_open():
            raise host.wrong_layer(_("The image was closed."))
        if not self._target.layer.is_valid():
            raise host.wrong_layer(_("The layer to edit was deleted."))
        layer = self._target.layer
        stroke = self._target.stroke or picture.selected_stroke(self.image, layer)
        reading = self._read(layer, stroke, request, on_canvas)
        self.editing.start(picture.of_reading(request, reading), reading.picture)
        self._reading, self._on_canvas = reading, on_canvas

    def _read(self, layer, stroke, request, on_canvas):
        """For a preview, what was read for the last one is good enough: an edit reads anew."""
        if not on_canvas:
            return picture.read(self.image, layer, stroke, request)
        read_for = (stroke, picture.place_of(layer), request.context, request.grow, request.feather)
        if self._kept is None or self._kept[0] != read_for:
            reading = picture.read(self.image, layer, stroke, request, _PREVIEW_PIXELS)
            self._kept = read_for, reading
        return self._kept[1]

    def finish(self, patch):
        """Put a result where it belongs: on the canvas, or into the image. Raises BridgeError."""
        if not self.is_open():
            raise host.wrong_layer(_("The image was closed before the edit was done."))
        if self._on_canvas:
            self._preview.show(self._reading, patch)
            return
        self._preview.hide()
        self.layer = result.insert(self.image, self._reading, patch, self._target.replaced)

    def hide_preview(self):
        """Take the preview off the canvas."""
        self._preview.hide()

    def close(self):
        """Leave the image as it was, but for what was applied, and let go of the engine."""
        self.editing.close()
        self._preview.hide()


def safely(what, action, *arguments):
    """Call it; whatever goes wrong in the editor's own code is raised as a BridgeError, too."""
    try:
        return action(*arguments)
    except BridgeError:
        raise
    except Exception as error:
        raise host.internal(what, error) from error
