"""When the callback measures, and what it writes."""

import keras_hkd.distillation.gradient_norms as module


def test_shares_are_logged_every_second_epoch(monkeypatch):
    asked = []
    monkeypatch.setattr(
        module, "gradient_shares", lambda *args: asked.append(args) or {"box_loss": 1.0}
    )
    callback = module.GradientShares("images", "labels", every=2)
    logs = [{"loss": 3.0} for _ in range(4)]
    for epoch in range(4):
        callback.on_epoch_end(epoch, logs[epoch])
    callback.on_epoch_end(5, None)
    measured = {"loss": 3.0, "box_loss_gradient_share": 1.0}
    assert logs == [{"loss": 3.0}, measured, {"loss": 3.0}, measured]
    assert [args[1:] for args in asked] == [("images", "labels")] * 2
