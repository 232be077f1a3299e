"""A whole toy training as a command line, and a process that is killed in the middle of one.

    python -m tests.train.toy_training PHASE EPOCH --data ...

runs `train-captioner` and kills its own process, as `kill -9` would, when the third batch of an
epoch of a phase (1 to 3) is read.
"""

import os
import signal
import sys

FLAGS = (
    "--name shapes --width 16 --attention multihead --num_heads 2 --initial_state image "
    "--dropout 0.3 --views 3 --captions_per_image 2 --max_length_tokens 12 --batch_size 5 "
    "--epochs 4 --learning_rate 0.05 --warmup_steps 3 --label_smoothing 0.1 --ema_momentum 0.8 "
    "--fine_tune_from pixels --fine_tune_epochs 2 --fine_tune_learning_rate 0.01 "
    "--self_critical_epochs 3 --self_critical_samples 3 --self_critical_learning_rate 0.002 "
    "--self_critical_ema_momentum 0.5 --self_critical_feature_dropout 0.2 "
    "--self_critical_f_mean_weight 0.5 --beam_width 2 --seed 3"
)


def toy_command(photos, encoder, output, tfds_dir, cache_dir):
    """Words of `train-captioner` for a folder of `tests.photo_folders` and a small encoder."""
    places = {
        "--data": photos,
        "--encoder": encoder,
        "--output": output,
        "--data_dir": tfds_dir,
        "--cache_dir": cache_dir,
    }
    return [*(str(word) for place in places.items() for word in place), *FLAGS.split()]


def kill_at(batches, epoch):
    """Makes this process end when the third training batch of an epoch is read."""
    read = batches.__getitem__

    def read_or_die(self, index):
        if self.seed is not None and (self.epoch, index) == (epoch, 2):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, index)

    batches.__getitem__ = read_or_die


if __name__ == "__main__":
    from train.batches import CaptionBatches
    from train.self_critical import SampleBatches
    from train.train_captioner import main

    phase, epoch, *words = sys.argv[1:]
    kill_at(SampleBatches if phase == "3" else CaptionBatches, int(epoch))
    sys.exit(main(words))
