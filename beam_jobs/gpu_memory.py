"""What keeps a model within its device's memory.

TensorFlow takes a whole GPU for one process unless told not to (`allow_memory_growth`). A batch
that does not fit is halved and tried again, down to one image (`FittingCaptioner`), and the size
that fitted is kept: the limit belongs to the copy of the model, so all that share it share the
limit, also from other processes.
"""

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from model_lib.config import DecodeConfig

if TYPE_CHECKING:
    from model_lib.caption import Caption
    from model_lib.captioner import Captioner
    from model_lib.preprocessing import PreparedImage

# How TensorFlow and CUDA name it. cuBLAS and cuDNN cannot be created where memory is short.
_OUT_OF_MEMORY = ("OUT_OF_MEMORY", "out of memory", "OOM when allocating", "ALLOC_FAILED")

logger = logging.getLogger(__name__)


def allow_memory_growth() -> None:
    """Lets TensorFlow take GPU memory as it needs it; call before the first use of a GPU.

    Harmless where there is none. Where TensorFlow has used one already, it says so in the log.
    """
    import tensorflow as tf

    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError as error:
            logger.warning("%s: memory growth stays as it is: %s", device.name, error)


def is_out_of_memory(error: BaseException) -> bool:
    """Tells whether an error means that a device or the machine has no memory left."""
    names = {base.__name__ for base in type(error).__mro__}
    if names & {"MemoryError", "ResourceExhaustedError"}:
        return True
    return any(sign in str(error) for sign in _OUT_OF_MEMORY)


class FittingCaptioner:
    """A captioner whose batches shrink until they fit; the size never grows again."""

    def __init__(self, captioner: "Captioner") -> None:
        """Takes the captioner.

        Args:
            captioner: runs the batches; its `info` tells what it is.
        """
        self._captioner = captioner
        self._chosen = 1
        self._largest: int | None = None
        self._lock = threading.Lock()

    def caption_prepared(
        self, images: "Sequence[PreparedImage]", decode: DecodeConfig, batch_size: int
    ) -> "list[list[Caption]]":
        """Captions images in batches that fit.

        Args:
            images: decoded images, any number.
            decode: how captions are drawn.
            batch_size: most images in one run of the network; also the size that a shorter batch
                is filled up to. 0 for what `choose` set.

        Returns:
            For each image its captions, best first.

        Raises:
            Exception: what the network raises; for want of memory only where one image alone is
                too much.
        """
        batch_size = batch_size or self._chosen
        while True:
            size = min(batch_size, self._largest or batch_size)
            try:
                return self._captioner.caption_prepared(images, decode, size)
            # Any kind: TensorFlow, CUDA and Python each have their own.
            except Exception as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
                self._shrink(size // 2, error)

    def choose(self, batch_size: int) -> None:
        """Sets the size of batches for callers that leave it open."""
        self._chosen = batch_size

    def _shrink(self, size: int, error: Exception) -> None:
        """Lowers the limit, and says so unless another thread has just done it."""
        with self._lock:
            if self._largest is not None and self._largest <= size:
                return
            self._largest = size
        reason = str(error).strip().partition("\n")[0][:200]
        logger.warning(
            "not enough memory for a batch of %d images (%s: %s): going on with %d at a time",
            size * 2,
            type(error).__name__,
            reason,
            size,
        )
