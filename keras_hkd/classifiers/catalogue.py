"""The named classifiers with a short description of each; loads without Keras."""

CATALOGUE = {
    "cnn_micro": "smallest student, 0.03 M parameters, no pretrained backbone",
    "cnn_small": "compact student, 0.25 M parameters, no pretrained backbone",
    "cnn_large": "teacher for small images, 1.1 M parameters, no pretrained backbone",
    "mobilenet_v2_0.35": "compact student whose backbone a detector can take: MobileNetV2 0.35",
    "mobilenet_v2_1.0": "teacher on a CPU: MobileNetV2 1.0",
}
