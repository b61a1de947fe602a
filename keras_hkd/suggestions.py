"""The earlier place of `keras_hkd.messages.did_you_mean`."""

from keras_hkd.messages import did_you_mean

__all__ = ["did_you_mean"]
