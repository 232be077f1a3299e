"""The learning curve: one panel for each measure, a line each for train and dev."""

import numpy as np
from PIL import Image

from train.learning_curve import draw_learning_curve, learning_curve

WORDS = [
    {"word_loss": 3.0, "val_word_loss": 3.2, "word_accuracy": 0.3, "val_word_accuracy": 0.2},
    {"word_loss": 2.0, "val_word_loss": 2.9, "word_accuracy": 0.5, "val_word_accuracy": 0.4},
]
REWARDS = [{"reward": 0.5, "val_reward": 0.4}, {"reward": 0.6, "val_reward": 0.45}]


def panels(history):
    """Title, and points by label, of each panel."""
    return [
        (
            axis.get_title(),
            {line.get_label(): line.get_xydata().tolist() for line in axis.get_lines()},
        )
        for axis in learning_curve(history).axes
    ]


def test_each_measure_has_a_panel_with_train_and_dev():
    loss, accuracy, reward = panels(WORDS + REWARDS)
    assert loss == (
        "cross-entropy a word (natural log)",
        {"train": [[1, 3.0], [2, 2.0]], "dev": [[1, 3.2], [2, 2.9]]},
    )
    assert accuracy == (
        "word accuracy",
        {"train": [[1, 0.3], [2, 0.5]], "dev": [[1, 0.2], [2, 0.4]]},
    )
    assert reward == (
        "reward of drawn captions",
        {"train": [[3, 0.5], [4, 0.6]], "dev": [[3, 0.4], [4, 0.45]]},
    )


def test_a_training_without_rewards_has_no_panel_for_them():
    assert [title for title, _ in panels(WORDS)] == [
        "cross-entropy a word (natural log)",
        "word accuracy",
    ]


def test_every_panel_says_what_it_shows():
    for axis in learning_curve(WORDS + REWARDS).axes:
        assert axis.get_xlabel() == "epoch"
        assert [text.get_text() for text in axis.get_legend().get_texts()] == ["train", "dev"]


def test_the_picture_is_a_png_with_lines_in_it(tmp_path):
    path = tmp_path / "curve.png"
    draw_learning_curve(WORDS + REWARDS, path)
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", (1650, 396))
        pixels = np.asarray(picture.convert("RGB"))
    # Each third has pixels of Matplotlib's first two colours: both lines were drawn.
    for third in np.split(pixels, 3, axis=1):
        for colour in ((31, 119, 180), (255, 127, 14)):
            assert (np.abs(third.astype(int) - colour).sum(axis=-1) < 12).sum() > 50
