"""A caption, as the captioner gives it; without TensorFlow, so that any process can read one."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Caption:
    """One caption of one image.

    Attributes:
        text: words joined by spaces, without special words.
        token_ids: ids drawn, `<end>` included where it was drawn.
        log_prob: natural log-probability of the tokens.
        score: log_prob / num_tokens; higher is surer, 0 at most.
        num_tokens: tokens drawn, `<end>` included.
        finished: false where the length limit cut the caption.
    """

    text: str
    token_ids: tuple[int, ...]
    log_prob: float
    score: float
    num_tokens: int
    finished: bool
