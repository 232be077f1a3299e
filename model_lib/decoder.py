"""The decoder: words so far and image features in, next-word logits out.

Embedding -> GRU -> attention over the features -> Add -> LayerNormalization -> Dense, as in
Google's course "Create Image Captioning Models". The whole-caption form (`call`) trains; the
one-step form (`start`, `step`) draws captions. Both run the same layers and weights.

Legend: B images, P positions of the feature map, C its channels, K captions an image (or
hypotheses of a search), L tokens, D width, V vocabulary size.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

from model_lib.config import ModelConfig


class ImageMemory(NamedTuple):
    """What the decoder keeps of the images while it draws words.

    Attributes:
        features: projected features float32 [B,P,D].
        initial_state: GRU state before the first word, float32 [B,D].
        keys: of multi-head attention, float32 [B,P,heads,D/heads]; None for `dot`.
        values: of multi-head attention, as `keys`.
    """

    features: Any
    initial_state: Any
    keys: Any = None
    values: Any = None


class CaptionDecoder(keras.Model):
    """The trainable part of a captioner.

    The captions of one image share its features: K captions of L words are K*L queries to
    the attention, so that features are neither copied nor projected K times.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int, **kwargs: Any) -> None:
        """Makes the layers.

        Args:
            config: the network's settings.
            vocabulary_size: number of words, the special ones included.
            **kwargs: passed to `keras.Model`, such as `name`.
        """
        super().__init__(**kwargs)
        self.config = config
        self.vocabulary_size = vocabulary_size
        width = config.width
        self.project = keras.layers.Dense(width, activation="relu", name="project")
        self.embedding = keras.layers.Embedding(vocabulary_size, width, name="embedding")
        self.gru = keras.layers.GRU(width, return_sequences=True, name="gru")
        if config.attention == "dot":
            self.attention = keras.layers.Attention(name="attention")
        else:
            self.attention = keras.layers.MultiHeadAttention(
                config.num_heads, width // config.num_heads, name="attention"
            )
        self.add = keras.layers.Add(name="add")
        self.norm = keras.layers.LayerNormalization(name="norm")
        self.dropout = keras.layers.Dropout(config.dropout, name="dropout")
        self.start_state = None
        if config.initial_state == "image":
            self.start_state = keras.layers.Dense(width, activation="tanh", name="start_state")
        self.logits = None
        if not config.tie_embeddings:
            self.logits = keras.layers.Dense(vocabulary_size, dtype="float32", name="logits")

    def build(self, input_shape: Any) -> None:
        """Builds all layers.

        Args:
            input_shape: shapes of the inputs, ((B, P, C), (B, K, L)); only P and C are read.
        """
        _, positions, channels = input_shape[0]
        width = self.config.width
        memory_shape, query_shape = (None, positions, width), (None, None, width)
        self.project.build((None, positions, channels))
        self.embedding.build((None, None))
        self.gru.build((None, None, width))
        if self.config.attention == "dot":
            self.attention.build([query_shape, memory_shape])
        else:
            self.attention.build(query_shape, memory_shape)
        self.add.build([query_shape, query_shape])
        self.norm.build(query_shape)
        if self.start_state is not None:
            self.start_state.build((None, width))
        if self.logits is None:
            self.logits_bias = self.add_weight(
                shape=(self.vocabulary_size,), initializer="zeros", name="logits_bias"
            )
        else:
            self.logits.build(query_shape)
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool | None = None) -> Any:
        """Scores every next word of whole captions (teacher forcing).

        Args:
            inputs: features float [B,P,C] and token ids int32 [B,K,L], `<start>` first.
            training: whether dropout is on.

        Returns:
            Logits float32 [B,K,L,V]: position l scores the word after token l.
        """
        return self.predict_words(self.read_captions(inputs, training=training), training)

    def read_captions(self, inputs: tuple[Any, Any], training: bool | None = None) -> Any:
        """Does all of `call` but the last layer; returns word states [B,K,L,D]."""
        queries, projected = self._queries(inputs, training)
        if self.config.attention == "dot":
            context = self.attention([queries, projected], training=training)
        else:
            context = self.attention(queries, projected, training=training)
        return self._by_caption(self.norm(self.add([context, queries])), inputs[1])

    def attention_weights(self, inputs: tuple[Any, Any]) -> Any:
        """Tells how much `call` attends to each position of the feature map for each next word.

        Args:
            inputs: as for `call`.

        Returns:
            Weights float [B,K,L,P], 0 or more, that sum to 1 over the positions: at l those
            that the scores of the word after token l come from. Of several heads the mean.
        """
        queries, projected = self._queries(inputs, training=False)
        weights = ops.mean(self._weights_of_heads(queries, projected), axis=1)
        return self._by_caption(weights, inputs[1])

    def attention_contributions(self, inputs: tuple[Any, Any]) -> Any:
        """Tells how much of what the attention gives comes from each position.

        A position may get weight and yet add next to nothing, where its vector is short; this is
        the length of weight times vector, all heads added up (Kobayashi et al. 2020, "Attention
        is not only a weight").

        Args:
            inputs: as for `call`.

        Returns:
            Shares float [B,K,L,P], as `attention_weights`; all 0 where nothing was read.
        """
        queries, projected = self._queries(inputs, training=False)
        weights = self._weights_of_heads(queries, projected)
        if self.config.attention == "dot":
            vectors = ops.expand_dims(projected, 2)
        else:
            values = self.attention.value_dense(projected)
            vectors = ops.einsum("bphe,hed->bphd", values, self.attention.output_dense.kernel)
        read = ops.einsum("bhqp,bphd->bqpd", weights, vectors)
        lengths = ops.sqrt(ops.sum(ops.square(read), axis=-1))
        total = ops.sum(lengths, axis=-1, keepdims=True)
        return self._by_caption(lengths / ops.maximum(total, keras.config.epsilon()), inputs[1])

    def predict_words(self, joined: Any, training: bool | None = None) -> Any:
        """Maps word states [...,D] to logits float32 [...,V]."""
        joined = self.dropout(joined, training=training)
        if self.logits is not None:
            return self.logits(joined)
        scores = ops.matmul(joined, ops.transpose(self.embedding.embeddings))
        return ops.cast(scores, "float32") + self.logits_bias

    def start(self, features: Any) -> ImageMemory:
        """Does the work of the inference form that is needed once an image.

        Args:
            features: of the encoder, float [B,P,C].

        Returns:
            The memory that `step` reads.
        """
        projected, initial_state = self._project(features, training=False)
        if self.config.attention == "dot":
            return ImageMemory(projected, initial_state)
        keys = self.attention.key_dense(projected)
        return ImageMemory(projected, initial_state, keys, self.attention.value_dense(projected))

    def step(self, tokens: Any, state: Any, memory: ImageMemory) -> tuple[Any, Any]:
        """Draws one word further: the inference form of `call`.

        Args:
            tokens: last words int32 [B,K].
            state: GRU state float [B,K,D]; at first `initial_state`, repeated K times.
            memory: of `start` for the same B images.

        Returns:
            Logits float32 [B,K,V] of the next words and the new GRU state [B,K,D].
        """
        shape = ops.shape(state)
        words = ops.reshape(self.embedding(tokens), (-1, self.config.width))
        flat_state = ops.reshape(state, (-1, self.config.width))
        _, new_states = self.gru.cell(words, [flat_state], training=False)
        new_state = ops.reshape(new_states[0], shape)
        joined = self.norm(self.add([self._attend_once(new_state, memory), new_state]))
        return self.predict_words(joined, training=False), new_state

    def _queries(self, inputs: tuple[Any, Any], training: bool | None) -> tuple[Any, Any]:
        """Returns the GRU's states [B,K*L,D] and what they attend to, [B,P,D]."""
        features, ids = inputs
        _, captions, length = ops.shape(ids)
        projected, initial_state = self._project(features, training)
        words = self.dropout(self.embedding(ids), training=training)
        words = ops.reshape(words, (-1, length, self.config.width))
        state = ops.repeat(initial_state, captions, axis=0)
        states = self.gru(words, initial_state=state, training=training)
        return ops.reshape(states, (-1, captions * length, self.config.width)), projected

    def _project(self, features: Any, training: bool | None) -> tuple[Any, Any]:
        """Returns projected features [B,P,D] and the GRU's initial state [B,D]."""
        features = ops.cast(features, self.compute_dtype)
        projected = self.project(self.dropout(features, training=training))
        projected = self.dropout(projected, training=training)
        mean = ops.mean(projected, axis=1)
        if self.start_state is None:
            return projected, ops.zeros_like(mean)
        return projected, self.start_state(mean)

    def _weights_of_heads(self, queries: Any, projected: Any) -> Any:
        """Returns the attention's weights, float [B,heads,queries,P]; `dot` has one head."""
        if self.config.attention == "dot":
            _, weights = self.attention(
                [queries, projected], return_attention_scores=True, training=False
            )
            return ops.expand_dims(weights, 1)
        _, weights = self.attention(
            queries, projected, return_attention_scores=True, training=False
        )
        return weights

    def _by_caption(self, values: Any, ids: Any) -> Any:
        """Returns values of queries [B,K*L,X] as [B,K,L,X], for token ids [B,K,L]."""
        _, captions, length = ops.shape(ids)
        return ops.reshape(values, (-1, captions, length, ops.shape(values)[-1]))

    def _attend_once(self, queries: Any, memory: ImageMemory) -> Any:
        """Attends from GRU states [B,K,D] as the attention layer does, with its stored keys."""
        if self.config.attention == "dot":
            return self.attention([queries, memory.features], training=False)
        heads = self.attention.query_dense(queries)
        scores = ops.einsum("bkhd,bphd->bhkp", heads, memory.keys)
        weights = ops.softmax(scores / self.attention.key_dim**0.5)
        return self.attention.output_dense(ops.einsum("bhkp,bphd->bkhd", weights, memory.values))


def build_decoder(
    config: ModelConfig, vocabulary_size: int, feature_shape: tuple[int, int]
) -> CaptionDecoder:
    """Makes a decoder with all weights in place.

    Args:
        config: the network's settings.
        vocabulary_size: number of words, the special ones included.
        feature_shape: (P, C) of the encoder's output.

    Returns:
        A built decoder; its initial weights follow Keras's global seed.
    """
    decoder = CaptionDecoder(config, vocabulary_size, name="decoder")
    decoder.build(((None, *feature_shape), (None, None, None)))
    return decoder
