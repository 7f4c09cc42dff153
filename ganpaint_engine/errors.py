"""Every error the engine can report, each with a stable code.

The code is the contract: the command line, the Python API, the wire protocol and the plug-ins all
show the same one. Messages are for people and may change; codes may not.
"""

from __future__ import annotations

from typing import Any


class GanpaintError(Exception):
    """Base of all errors a user can meet. ``code`` is stable, ``message`` says what to do."""

    code = "internal"

    def __init__(self, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class InternalError(GanpaintError):
    """A fault of the engine itself; the log has the traceback."""

    code = "internal"


class Cancelled(GanpaintError):
    """The person, or the loss of their connection, stopped the job."""

    code = "cancelled"

    def __init__(self, message: str = "The job was cancelled.", **detail: Any) -> None:
        super().__init__(message, **detail)


class BadRequest(GanpaintError):
    """A message or parameter that does not follow the protocol or the API."""

    code = "bad_request"


class EmptyMask(GanpaintError):
    """No selection, or a selection without a single selected pixel inside the photo."""

    code = "mask_empty"


class MaskSizeMismatch(GanpaintError):
    """The mask is not of the photo's size."""

    code = "mask_size"


class BadTrainingData(GanpaintError):
    """Pictures or labels to train on that are missing, damaged or do not belong together."""

    code = "bad_training_data"


class OtherCheckpoint(GanpaintError):
    """A checkpoint that is damaged, or of another architecture or recipe than asked for."""

    code = "other_checkpoint"


class UnknownConcept(GanpaintError):
    """The model has no such concept."""

    code = "unknown_concept"


class UnknownVariant(GanpaintError):
    """The concept has no look of that name."""

    code = "unknown_variant"


class UnsupportedOperation(GanpaintError):
    """The model knows the concept, but failed the measurement of this operation on it."""

    code = "unsupported_operation"


class SegmenterMissing(GanpaintError):
    """Dissection needs a segmenter, and neither the model nor the command names one."""

    code = "segmenter_missing"


class FeaturesMissing(GanpaintError):
    """A feature network was asked for whose weights are not here."""

    code = "features_missing"


class NothingFound(GanpaintError):
    """Dissection found no concept that passes its measurement."""

    code = "nothing_found"


class ModelBusy(GanpaintError):
    """Another command is changing this model."""

    code = "model_busy"


class ConceptTaken(GanpaintError):
    """The model has a concept of that name already."""

    code = "concept_taken"


class StrokesUnusable(GanpaintError):
    """Painted pictures without masks, too few of them, or with one that cannot be used."""

    code = "strokes_unusable"


class UnknownModel(GanpaintError):
    """No model of that name, and no model folder there."""

    code = "unknown_model"


class PhotoTooSmall(GanpaintError):
    """A photo with a side under 64 px."""

    code = "photo_too_small"


class PhotoTooLarge(GanpaintError):
    """A photo of more than 100 megapixels."""

    code = "photo_too_large"


class CorruptImage(GanpaintError):
    """A picture file that cannot be read to its end."""

    code = "image_corrupt"


class TooFewPhotos(GanpaintError):
    """A folder holds fewer usable photographs than are needed."""

    code = "too_few_photos"


class DamagedModel(GanpaintError):
    """A model file that is missing, cut short, or differs from the hash in its card."""

    code = "model_damaged"


class ModelNotPrepared(GanpaintError):
    """An imported generator that can sample, but has no encoder and no concepts yet."""

    code = "model_not_prepared"


class ModelExists(GanpaintError):
    """There is a model of that name already, and replacing it was not asked for."""

    code = "model_exists"


class UnknownWeights(GanpaintError):
    """A file that is no weight file, or weights in no layout that is known exactly."""

    code = "weights_unknown"


class UnsafeWeights(GanpaintError):
    """A weight file that is a program; it was not run."""

    code = "weights_unsafe"


class DamagedWeights(GanpaintError):
    """A weight file that is cut short, or holds values that are not numbers."""

    code = "weights_damaged"


class DownloadFailed(GanpaintError):
    """A published file that no address could deliver; what arrived of it is kept."""

    code = "download_failed"


class DownloadStalled(GanpaintError):
    """A server that stopped sending, or sends next to nothing; what arrived is kept."""

    code = "download_stalled"


class HashMismatch(GanpaintError):
    """A file that is not the published one of its name: its hash or size differs."""

    code = "hash_mismatch"


class TermsNotAccepted(GanpaintError):
    """A published file whose terms were not accepted; nothing was fetched."""

    code = "terms_not_accepted"


class DiskFull(GanpaintError):
    """Not enough room on the disk for what was to be written."""

    code = "disk_full"


class OutOfMemory(GanpaintError):
    """Neither the device nor the CPU had the memory for this job."""

    code = "out_of_memory"


class QueueFull(GanpaintError):
    """The engine's queue, or this client's share of it, is full."""

    code = "queue_full"


class Superseded(GanpaintError):
    """A newer job of the same slot made this preview useless."""

    code = "superseded"

    def __init__(self, message: str = "A newer edit took its place.", **detail: Any) -> None:
        super().__init__(message, **detail)


class UnknownJob(GanpaintError):
    """There is no such job of this client, or its result is no longer kept."""

    code = "unknown_job"


class WrongToken(GanpaintError):
    """The engine refused the token, or could not prove that it knows it."""

    code = "wrong_token"


class WrongKey(GanpaintError):
    """A CURVE key that is missing, damaged, or not the one that the other side expects."""

    code = "wrong_key"


class InsecureBind(GanpaintError):
    """The engine was told to listen beyond this machine without CURVE."""

    code = "insecure_bind"


class RateLimited(GanpaintError):
    """A client sends messages faster than the engine takes them from one client."""

    code = "rate_limited"


class NotAllowed(GanpaintError):
    """A client from beyond this machine asked for something that only its owner may do."""

    code = "not_allowed"


class StorageUnusable(GanpaintError):
    """No folder, or no room, for the few small files that a running engine needs."""

    code = "storage"


class ProtocolMismatch(GanpaintError):
    """The two sides speak different major versions of the protocol."""

    code = "protocol_mismatch"


class EngineUnreachable(GanpaintError):
    """No engine is running, or it does not answer."""

    code = "engine_unreachable"


class EngineMissing(GanpaintError):
    """No engine is installed where the plug-in was told to look."""

    code = "engine_missing"


class PluginUnknownHost(GanpaintError):
    """There is no plug-in for an editor of that name."""

    code = "plugin_unknown_host"


class PluginFolder(GanpaintError):
    """The editor's folder cannot be written, so the plug-in was not installed or removed."""

    code = "plugin_folder"


def _subclasses(cls: type[GanpaintError]) -> dict[str, type[GanpaintError]]:
    return {sub.code: sub for sub in cls.__subclasses__()}


BY_CODE: dict[str, type[GanpaintError]] = _subclasses(GanpaintError)


def from_code(code: str, message: str, detail: dict[str, Any] | None = None) -> GanpaintError:
    """The error of ``code``; a code this version does not know becomes a plain GanpaintError."""
    cls = BY_CODE.get(code)
    if cls is None:
        error = GanpaintError(message, **(detail or {}))
        error.code = code
        return error
    return cls(message, **(detail or {}))
