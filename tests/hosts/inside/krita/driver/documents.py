"""Plays with documents of every kind, and the stub engine, which inverts what it gets."""

from krita import InfoObject, Selection

from .qt import QtCore
from .scene import BOX, REPORT, Photo, describe, pause, save_layer

# Name -> (model, depth, profile).
SPACES = {
    "linear_16": ("RGBA", "U16", "sRGB-elle-V2-g10.icc"),
    "srgb_16": ("RGBA", "U16", "sRGB-elle-V2-srgbtrc.icc"),
    "adobe_8": ("RGBA", "U8", "ClayRGB-elle-V2-g22.icc"),
    "adobe_16": ("RGBA", "U16", "ClayRGB-elle-V2-g22.icc"),
    "prophoto_16": ("RGBA", "U16", "LargeRGB-elle-V2-g22.icc"),
    "rec2020_f16": ("RGBA", "F16", "Rec2020-elle-V4-g10.icc"),
    "linear_f32": ("RGBA", "F32", "sRGB-elle-V2-g10.icc"),
    "gray_8": ("GRAYA", "U8", "Gray-D50-elle-V2-srgbtrc.icc"),
    "gray_16": ("GRAYA", "U16", "Gray-D50-elle-V2-g10.icc"),
    "cmyk_8": ("CMYKA", "U8", "Chemical proof"),
    "cmyk_16": ("CMYKA", "U16", "Chemical proof"),
    "lab_16": ("LABA", "U16", "Lab identity built-in"),
}


def spaces(docker):
    """The same edit in documents of many colour spaces: what is seen must be the same."""
    for name, space in SPACES.items():
        photo = Photo("muted.png")
        yield photo.ready
        photo.document.setColorSpace(*space)
        yield lambda photo=photo: photo.document.activeNode() is not None
        photo.seen(name + "-before.png")
        docker.choose()
        docker.press("apply")
        yield docker.settled
        photo.seen(name + "-after.png")
        layers = photo.layers()
        own = [photo.new_layer().colorModel(), photo.new_layer().colorDepth()]
        REPORT[name] = {"status": docker.status(), "box": layers[1]["box"], "space": own}
        if name in ("adobe_8", "cmyk_8", "linear_16"):
            save_layer(photo.new_layer(), name)
        photo.undo()
        REPORT[name]["undone"] = photo.layers() == layers[:1] + layers[2:]
        yield from photo.close()


def shapes(docker):
    """Layers that are not simply the photo: see SHAPES."""
    for name, make in SHAPES.items():
        photo = Photo("muted.png")
        yield photo.ready
        node = make(photo)
        yield pause(0.2)
        yield photo.activate(node)
        photo.seen(name + "-before.png")
        before = describe(node)
        docker.choose()
        docker.press("apply")
        yield docker.settled
        yield pause(0.2)
        photo.seen(name + "-after.png")
        REPORT[name] = {"status": docker.status(), "untouched": describe(node) == before}
        siblings = [n.name() for n in node.parentNode().childNodes()]
        REPORT[name]["above"] = siblings[siblings.index(node.name()) + 1]
        yield from photo.close()


def offset(photo):
    photo.base.move(25, 15)
    return photo.base


def small(photo):
    """A layer smaller than the canvas, the selection reaching over its edge."""
    x, y, width, height = BOX
    node = photo.document.createNode("small", "paintlayer")
    node.setPixelData(
        QtCore.QByteArray(bytes((90, 120, 150, 255)) * (width * height)),
        x + 10,
        y + 10,
        width,
        height,
    )
    photo.document.rootNode().addChildNode(node, photo.base)
    return node


def grouped(photo):
    group = photo.document.createGroupLayer("group")
    photo.document.rootNode().addChildNode(group, photo.base)
    group.addChildNode(photo.base.duplicate(), None)
    return group


def in_group(photo):
    group = photo.document.createGroupLayer("group")
    photo.document.rootNode().addChildNode(group, photo.base)
    inside = photo.base.duplicate()
    group.addChildNode(inside, None)
    return inside


def locked(photo):
    photo.base.setLocked(True)
    return photo.base


def filled(photo):
    info = InfoObject()
    info.setProperty(
        "color", "<!DOCTYPE color><color channeldepth='U8'><sRGB r='0.4' g='0.5' b='0.6'/></color>"
    )
    everywhere = Selection()
    everywhere.select(0, 0, photo.document.width(), photo.document.height(), 255)
    node = photo.document.createFillLayer("fill", "color", info, everywhere)
    photo.document.rootNode().addChildNode(node, photo.base)
    photo.document.refreshProjection()
    return node


SHAPES = {
    "offset": offset,
    "small": small,
    "grouped": grouped,
    "in_group": in_group,
    "locked": locked,
    "filled": filled,
}
PLAYS = (spaces, shapes)
