"""Encoders: image batch in, feature map out, their own pixel scaling inside.

Takes a backbone's name or a `.keras` file; returns a frozen functional Keras model
`images [B,S,S,3] (0..255) -> features float32 [B,P,C]`, made of built-in layers only,
so that it saves to and loads from a `.keras` file with `safe_mode=True`.

Legend: B batch, S image side in pixels, P positions of the feature map, C channels.
"""

from typing import Any, Literal

import keras
import numpy as np

from model_lib.errors import EncoderError

# How each family of keras.applications (by module) was trained to see pixels. The modes are
# those of keras.applications.imagenet_utils.preprocess_input; `inside` is the backbone's own.
_FAMILY_MODES = {
    "convnext": "inside",
    "densenet": "torch",
    "efficientnet": "inside",
    "efficientnet_v2": "inside",
    "inception_resnet_v2": "tf",
    "inception_v3": "tf",
    "mobilenet": "tf",
    "mobilenet_v2": "tf",
    "mobilenet_v3": "inside",
    "nasnet": "tf",
    "resnet": "caffe",
    "resnet_v2": "tf",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "xception": "tf",
}
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STD = (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

PixelScaling = Literal["backbone", "unit", "file"]


def build_encoder(
    name: str = "InceptionResNetV2",
    image_size: int = 299,
    weights: str | None = "imagenet",
    pixel_scaling: PixelScaling = "backbone",
) -> keras.Model:
    """Builds a frozen encoder from a backbone of `keras.applications`.

    `build_encoder()` is the course's: 299 x 299 pixels -> 64 positions of 1536 channels.

    Args:
        name: as in `keras.applications`, for example `"InceptionResNetV2"`.
        image_size: side of the square input in pixels.
        weights: `"imagenet"` (downloaded by Keras), a `.weights.h5` file, or None for random.
            Of EfficientNetB0 to B7, a file must not come from `"imagenet"`: Keras scales once
            more inside for those.
        pixel_scaling: `"backbone"` as the backbone was trained, `"unit"` to 0..1 (the notebook).

    Returns:
        A functional model `image [B,S,S,3] (0..255) -> features float32 [B,P,C]`.

    Raises:
        EncoderError: for an unknown name, a size the backbone refuses, or unreadable weights.
    """
    constructor = getattr(keras.applications, name, None)
    if not callable(constructor):
        known = sorted(n for n in dir(keras.applications) if n[0].isupper())
        raise EncoderError(f"keras.applications has no {name!r}; it has {', '.join(known)}")
    shape = (image_size, image_size, 3)
    image = keras.Input(shape, name="image")
    pixels = _scale_pixels(image, constructor.__module__.rpartition(".")[2], pixel_scaling)
    try:
        backbone = constructor(include_top=False, weights=weights, input_shape=shape)
    # Keras raises a bare `Exception` where the download fails, h5py errors of its own.
    except Exception as error:
        raise EncoderError(
            f"{name} at {image_size}x{image_size} with weights {weights!r} was not built: {error}. "
            "Check the size and the weights file; 'imagenet' needs a network or Keras's cache"
        ) from error
    return _as_positions(image, backbone(pixels), backbone.name)


def load_encoder(path: str) -> keras.Model:
    """Loads a frozen encoder from a `.keras` file with an image in and a feature map out.

    Args:
        path: local `.keras` file; its model takes `[B,S,S,3]` (0..255) and returns a feature
            map `[B,h,w,C]` or positions `[B,P,C]`. No code of the file is run.

    Returns:
        A functional model `image [B,S,S,3] -> features float32 [B,P,C]`.

    Raises:
        EncoderError: where the file cannot be read or is not such a model.
    """
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        input_shape, output_shape = model.input_shape, model.output_shape
    # Whatever zip, JSON, HDF5 and Keras raise for a file that is damaged or hostile.
    except Exception as error:
        raise EncoderError(f"encoder {path}: not a safe Keras 3 model file: {error}") from error
    if not _is_image_shape(input_shape) or not _is_feature_shape(output_shape):
        raise EncoderError(
            f"encoder {path}: maps {input_shape} to {output_shape}; expected a square image "
            "(None, S, S, 3) to a feature map (None, h, w, C) or (None, positions, C)"
        )
    if len(output_shape) == 3 and model.outputs[0].dtype == "float32":
        model.trainable = False
        return model
    image = keras.Input(input_shape[1:], name="image")
    return _as_positions(image, model(image), model.name)


def _is_image_shape(shape: Any) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) == 4
        and shape[1] is not None
        and shape[1] == shape[2]
        and shape[3] == 3
    )


def _is_feature_shape(shape: Any) -> bool:
    return isinstance(shape, tuple) and len(shape) in (3, 4) and None not in shape[1:]


def _as_positions(image: Any, feature_map: Any, name: str) -> keras.Model:
    """Joins `[B,h,w,C]` to `[B,h*w,C]` and freezes the model."""
    channels = feature_map.shape[-1]
    features = keras.layers.Reshape((-1, channels), name="positions")(feature_map)
    features = keras.layers.Activation("linear", dtype="float32", name="features")(features)
    encoder = keras.Model(image, features, name=f"encoder_{name}")
    encoder.trainable = False
    return encoder


def _scale_pixels(image: Any, family: str, scaling: PixelScaling) -> Any:
    """Scales pixels 0..255 as a family of backbones wants them, with built-in layers.

    Worked numbers for a red pixel (255, 0, 0): InceptionResNetV2 gets (1, -1, -1);
    EfficientNet, which scales inside, (255, 0, 0); VGG16 (-103.939, -116.779, 131.32), as BGR.
    """
    if scaling == "unit":
        return keras.layers.Rescaling(1 / 255.0, name="pixels")(image)
    if scaling != "backbone":
        raise EncoderError(
            f"pixel_scaling {scaling!r} does not go with a backbone by name: backbone or unit do"
        )
    mode = _FAMILY_MODES.get(family)
    if mode is None:
        raise EncoderError(
            f"how {family!r} of keras.applications scales pixels is not known here: choose "
            f"pixel_scaling='unit' or a backbone of {', '.join(_FAMILY_MODES)}"
        )
    if mode == "inside":
        return image
    if mode == "tf":
        return keras.layers.Rescaling(1 / 127.5, -1.0, name="pixels")(image)
    if mode == "torch":
        scale = [1 / (255.0 * std) for std in _TORCH_STD]
        offset = [-mean / std for mean, std in zip(_TORCH_MEAN, _TORCH_STD, strict=True)]
        return keras.layers.Rescaling(scale, offset, name="pixels")(image)
    # caffe: a fixed 1x1 convolution that turns RGB into BGR and takes the mean off.
    flip = keras.layers.Conv2D(3, 1, trainable=False, name="pixels")
    bgr = flip(image)
    kernel = np.eye(3)[::-1].reshape(1, 1, 3, 3)
    flip.set_weights([kernel, -np.array(_CAFFE_MEAN_BGR)])
    return bgr
