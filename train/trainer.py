"""The model that `fit` sees: a decoder that scores real words only.

Takes features and captions, returns logits where a real word follows. Most positions of padded
captions hold none, and the last layer is a good part of the work, so leaving them out trains
faster than masking their loss, with the same loss and gradient.

Legend: B photos, K captions a photo, L tokens, P positions, C channels, M real words, V words.
"""

from typing import Any

import keras
import tensorflow as tf

from model_lib.decoder import CaptionDecoder
from model_lib.tokenizer import END_ID, PAD_ID
from train.losses import SmoothedCrossEntropy


class CaptionTrainer(keras.Model):
    """Trains a decoder by teacher forcing."""

    def __init__(self, decoder: CaptionDecoder, *, padding_loss: bool = False) -> None:
        """Keeps the decoder, whose weights are trained in place.

        Args:
            decoder: what is trained.
            padding_loss: whether padding is scored too, in training; never in validation.
        """
        super().__init__(name="trainer")
        self.decoder = decoder
        self.padding_loss = padding_loss
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool | None = None) -> Any:
        """Scores the next words of captions.

        Args:
            inputs: features float [B,P,C] and words so far int32 [B,K,L].
            training: whether dropout is on.

        Returns:
            Logits float32 [M,V] in the order of the captions; with `padding_loss`, in training,
            M is B*K*L.
        """
        _, ids = inputs
        joined = self.decoder.read_captions(inputs, training=training)
        if training and self.padding_loss:
            joined = tf.reshape(joined, [-1, joined.shape[-1]])
        else:
            joined = tf.boolean_mask(joined, has_next_word(ids))
        return self.decoder.predict_words(joined, training)


def has_next_word(ids: Any) -> Any:
    """Tells where a word follows: after every word but `<end>` and padding.

    Words so far `[<start> a dog <end> <pad>]` have a next word at `[1 1 1 0 0]`.

    Args:
        ids: words so far, int [...].

    Returns:
        bool [...].
    """
    return (ids != PAD_ID) & (ids != END_ID)


def make_optimizer(
    learning_rate: float,
    *,
    total_steps: int,
    warmup_steps: int,
    clip_norm: float,
    weight_decay: float,
    ema_momentum: float,
    decay_to: float = 0.02,
) -> keras.optimizers.Optimizer:
    """Makes AdamW with linear warm-up and cosine decay.

    Without warm-up, clipping, weight decay and averages, and with `decay_to=1`, it takes the
    steps of `keras.optimizers.Adam`.

    Args:
        learning_rate: at the end of the warm-up.
        total_steps: of all epochs.
        warmup_steps: at most half of `total_steps` is used.
        clip_norm: largest norm of all gradients together; 0 means no clipping.
        weight_decay: decoupled weight decay a step.
        ema_momentum: of the moving average of the weights that is evaluated and kept; 0: none.
        decay_to: share of the learning rate at the end of the last epoch.

    Returns:
        A Keras optimizer.
    """
    warmup = min(warmup_steps, total_steps // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate * 0.05,
        max(1, total_steps - warmup),
        alpha=decay_to,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=weight_decay,
        global_clipnorm=clip_norm or None,
        use_ema=ema_momentum > 0,
        ema_momentum=ema_momentum or 0.99,
    )


def compile_trainer(
    trainer: CaptionTrainer, optimizer: keras.optimizers.Optimizer, label_smoothing: float
) -> None:
    """Sets loss (smoothed), and word loss (not smoothed) and word accuracy as metrics."""
    trainer.compile(
        optimizer=optimizer,
        loss=SmoothedCrossEntropy(label_smoothing),
        metrics=[
            keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="word_loss"),
            keras.metrics.SparseCategoricalAccuracy(name="word_accuracy"),
        ],
        jit_compile=False,  # the number of real words differs from batch to batch
    )
