"""One edit's way through Krita: read, send, preview on the canvas, insert. Never blocks Krita.

All of it runs in a timer of the GUI thread: Krita gives Python threads no reliable time, and its
API wants that thread. Each turn does little: a strip of pixels, or what has come from the engine.
"""

import time
from typing import NamedTuple, Optional

from . import overlay, picture, recipes
from .colours import image_of, shrunk
from .ganpaint_bridge import BridgeError, host
from .ganpaint_bridge.choices import EditRequest
from .ganpaint_bridge.words import _, later
from .layers import Insertion
from .qt import QtCore, QtGui

_TURN_MS = 30
_SLICE_S = 0.02  # of work in one turn
_LISTEN_S = 5.0  # to the engine, after an edit
_START_S = 120.0
_PREVIEW_PIXELS = 1_000_000  # of a photo that is sent for a preview
_READING_SHARE = 0.1  # of the progress bar
_CHANGED = later("The layer was changed while the edit was made.")


class Target(NamedTuple):
    """What an edit is of: the layer read, and the one above which the new layer comes."""

    document: object
    layer: object
    above: object
    selection: dict  # as recipes stores it; {}: the document's own when the edit is sent
    replaces: Optional[recipes.Edit] = None


class Wish(NamedTuple):
    """An edit asked for: a preview on the canvas, or one that becomes a layer."""

    request: EditRequest
    target: Target

    @property
    def is_preview(self):
        return self.request.quality == "preview"


class Session:
    """The edits of one docker, one at a time. ``shown`` is told what happens:

    progress(fraction, text), idle(text, error or None), previewed(text), inserted(layer, text),
    held(text): a result waits for insert_anyway or cancel; news(update): any other of the engine.
    """

    def __init__(self, client, shown):
        self.editing = host.Editing(client)
        self._shown = shown
        self._wish = None  # under way
        self._reading = None  # of the last layer read; spares reading it again
        self._picture = None  # sent last
        self._steps = None  # work in turns: a generator
        self._held = None  # a result that is not pasted blindly: (wish, patch)
        self._stepping = False
        self._overlay = None
        self._small = None  # (photo, the same as sent for a preview, scale), for the next preview
        self._scale = (1.0, 1.0)  # how much smaller the photo of the last preview was sent
        self._listen_until = 0.0
        self._asked = False  # whether the person wants to hear that there is no engine
        self._timer = QtCore.QTimer()
        self._timer.setInterval(_TURN_MS)
        self._timer.timeout.connect(self._turn)

    @property
    def busy(self):
        """Whether an edit is under way."""
        return self._wish is not None

    @property
    def previewing(self):
        """Whether a preview is on the canvas or on its way there."""
        return self._overlay is not None or (self.busy and self._wish.is_preview)

    def preview(self, request, target):
        """Show an edit over the canvas. While one is on its way, the newest asked for is next."""
        same = self.busy and self._wish.target.layer == target.layer
        being_read = same and self._steps is not None
        read = self._overlay is not None and self._reading and self._reading.layer == target.layer
        self._wish = Wish(request._replace(quality="preview"), target)
        if being_read:
            return  # it will be sent with this wish
        self._work(self._sending() if read or same else self._reading_of(self._wish))

    def apply(self, request, target):
        """Make an edit a layer. A preview on its way is let go."""
        self.editing.cancel()
        self._held = None
        self._wish = Wish(request._replace(quality="final"), target)
        self._work(self._reading_of(self._wish))

    def cancel(self):
        """Stop everything at once and take the preview off; the document was never touched."""
        text = _("Cancelled.") if self.previewing or self.busy or self._held else ""
        self._end()
        self._shown.idle(text, None)

    def insert_anyway(self):
        """Insert the result that is held back."""
        (wish, patch), self._held = self._held, None
        self._wish = wish
        self._work(self._inserting(wish, patch))

    def forget_closed(self):
        """Let go of what belongs to a document that was closed."""
        if self._overlay is not None and not picture.is_open(self._overlay.document):
            self.cancel()
        kept = self._reading is not None and not self.busy
        if kept and not picture.is_open(self._reading.document):
            self._reading = self._picture = self._small = None

    def look_for_engine(self):
        """Ask an engine that runs already what its model can do; start none."""
        if not self.busy and not self.editing.connected:
            self._asked = False
            self.editing.connect(start=False)
            self._listen(_LISTEN_S)

    def start_engine(self):
        """Start the engine, if none runs."""
        self._asked = True
        self.editing.connect()
        self._listen(_START_S)

    def restart_engine(self):
        """End the engine and start a new one; what is under way is given up."""
        self._end()
        self._asked = True
        self.editing.restart_engine()
        self._listen(_START_S)

    def stop_engine(self):
        """End the engine, whoever uses it."""
        self._end()
        self._asked = True
        self.editing.stop_engine()
        self._listen(_START_S)

    def _listen(self, seconds):
        """Hear what the engine says for a while, though no edit is under way."""
        self._listen_until = time.monotonic() + seconds
        self._timer.start()

    def close(self):
        """Let go of the engine and the canvas."""
        self._end()
        self.editing.close()
        self._timer.stop()

    # -- turns -------------------------------------------------------------------------------

    def _work(self, steps):
        self._steps = steps
        self._timer.start()

    def _turn(self):
        try:
            if self._steps is not None:
                self._step()
            for update in self.editing.pump():
                self._take(update)
        except BridgeError as error:
            self._fail(error)
        except Exception as error:  # Krita would drop it without a word to the person
            self._fail(host.internal(_("The layer cannot be read or made"), error))
        if not self.previewing and not self.busy and time.monotonic() > self._listen_until:
            # An idle engine may then leave.
            self._timer.stop()
            self.editing.close()

    def _step(self):
        """A slice of the work in hand."""
        steps, end = self._steps, time.monotonic() + _SLICE_S
        if self._stepping:
            return  # Krita handles events while it converts colours, this timer's among them
        self._stepping = True
        try:
            for _unused in steps:
                if self._steps is not steps or time.monotonic() > end:
                    break
            else:
                self._steps = None if self._steps is steps else self._steps
        finally:
            self._stepping = False
            if self._steps is not steps:
                steps.close()

    def _reading_of(self, wish):
        target = wish.target
        earlier, self._reading = self._reading, None
        reading = picture.Reading(target.document, target.layer, earlier)
        try:
            while not reading.step():
                self._shown.progress(_READING_SHARE * reading.fraction, _("Reading the layer…"))
                yield
        finally:
            reading.close()
        self._reading = reading
        yield
        yield from self._sending()

    def _sending(self):
        reading, (request, target) = self._reading, self._wish
        if target.selection:
            mask = recipes.stored_mask(target.document, target.selection)
        else:
            mask = picture.selection_mask(target.document)
        pixels = (reading.pixels(), reading.width, reading.height, 4, mask)
        self._picture = host.check_picture(host.Picture(*pixels))
        sent = self._picture
        if request.quality == "preview":
            request, sent = self._for_preview(request, sent)
        self.editing.start(request, sent)
        yield

    def _for_preview(self, request, whole):
        """A large photo is sent smaller: its preview is seen at the size of the screen."""
        last = self._small[0] if self._small else None
        if last is None or last.pixels is not whole.pixels or last.mask != whole.mask:
            self._small = (whole, *shrunk(whole, _PREVIEW_PIXELS))
        _whole, sent, self._scale = self._small
        times = self._scale[1]
        smaller = {"grow": round(request.grow / times), "feather": request.feather / times}
        return request._replace(**smaller), sent

    def _take(self, update):
        if update.kind == "done":
            self._done(update)
        elif update.kind == "failed":
            self._fail(update.error)
        elif update.kind == "progress" and self.busy:
            fraction = _READING_SHARE + (1 - _READING_SHARE) * update.fraction
            self._shown.progress(fraction, update.text)
        elif update.kind != "cancelled":  # who cancelled has been told
            self._shown.news(update)

    def _done(self, update):
        wish, patch = self._wish, update.patch
        if wish is None or (update.request.quality == "preview") != wish.is_preview:
            return
        if wish.is_preview:
            if not self.editing.busy and self._steps is None:
                self._wish = None
            self._show(wish, patch)
            return
        self._work(self._checking(wish, patch))

    def _checking(self, wish, patch):
        """Insert the patch, if the photo under it is as it was sent; else hold it back."""
        trouble = self._trouble(wish)
        if trouble is None:
            for index in self._reading.strips(patch.y, patch.y + patch.height):
                if self._reading.changed(index, patch.x, patch.x + patch.width):
                    trouble = _CHANGED
                    break
                yield
        if trouble is None:
            yield from self._inserting(wish, patch)
            return
        self._end()
        if picture.is_open(wish.target.document):
            self._held = (wish, patch)
            self._shown.held(_(trouble))
        else:
            self._shown.idle(_(trouble), None)

    def _show(self, wish, patch):
        document = wish.target.document
        if not picture.is_open(document):
            self._end()
            self._shown.idle(_("The document was closed before the preview was there."), None)
            return
        if self._overlay is not None and self._overlay.document != document:
            self._overlay.end()
            self._overlay = None
        if self._overlay is None:
            self._overlay = overlay.start(document)
        if self._overlay is not None:
            ready = QtGui.QImage.Format.Format_ARGB32_Premultiplied
            image = image_of(patch.rgba, patch.width, patch.height).convertToFormat(ready)
            self._overlay.draw(image, patch.x, patch.y, self._scale)
        self._shown.previewed(patch)

    def _trouble(self, wish):
        """Why a patch should not be pasted without a question; None when there is no reason."""
        target = wish.target
        if not picture.is_open(target.document):
            return later("The document was closed before the edit was done.")
        if target.layer.parentNode() is None or target.above.parentNode() is None:
            return later("The layer was removed while the edit was made.")
        return None if self._reading.is_framed() else _CHANGED

    def _inserting(self, wish, patch):
        insertion = Insertion(wish.target, patch)
        try:
            while not insertion.step():
                yield
        finally:
            insertion.close()
        layer = insertion.finish(patch.recipe, self._place(wish, patch))
        if wish.target.replaces is not None:
            wish.target.replaces.layer.setVisible(False)
            wish.target.document.refreshProjection()
        self._end()
        self._shown.inserted(layer, patch)

    def _place(self, wish, patch):
        target = wish.target
        place = {
            "source": recipes.id_of(target.layer),
            "selection": target.selection or recipes.stored_selection(target.document),
            "thumbnail": recipes.thumbnail(self._picture, patch),
        }
        if target.replaces is not None:
            place["replaces"] = target.replaces.id
        return place

    def _fail(self, error):
        if not self._asked and not self.previewing and not self.busy:
            self.editing.close()  # it was only looked for
            self._timer.stop()
            self._shown.unreachable(error)
            return
        self._end()
        self._shown.idle(host.failure_text(error), error)

    def _end(self):
        """Back to where nothing is under way."""
        self.editing.cancel()
        self._wish = self._steps = self._held = None
        if self._overlay is not None:
            self._overlay.end()
        self._overlay = None
        self._listen(_LISTEN_S)
