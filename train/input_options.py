"""How tf.data runs the data sets of a training and an evaluation."""

import tensorflow as tf


def make_input_options() -> tf.data.Options:
    """Returns options without tf.data's search for buffer sizes and threads.

    The search runs in a thread that wakes up 10, 30, 70 ... 10 * (2**k - 1) milliseconds after a
    data set's first element, later once a minute. An iterator that is done with waits for that
    thread, which is woken before it can see that it is to end (TensorFlow 2.21,
    `CancellationManager::StartCancel` calls back before it counts as cancelled) and, if quick
    enough, sleeps on: an epoch of 11 seconds then takes 20, one of five minutes up to six.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options
