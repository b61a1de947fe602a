import numpy as np
import pytest
from PIL import Image

from keras_hkd.report import curves, save_curves

HISTORY = {
    "loss": [3.0, 2.0, 1.0],
    "class_loss": [2.0, 1.0, 0.5],
    "val_AP": [None, 0.1, None],
    "learning_rate": [1e-3, 5e-4, 1e-4],
    "seconds": [1.0, 1.0, 1.0],
}


def test_draws_a_panel_per_kind_of_figure(tmp_path):
    whole = Image.open(save_curves({"student": HISTORY}, tmp_path / "runs" / "curves.png", "run"))
    only_loss = save_curves({"student": {"loss": [3.0, 2.0]}}, tmp_path / "loss.png")
    assert whole.format == "PNG"
    assert abs(whole.width / Image.open(only_loss).width - 3) < 0.05
    assert len(np.unique(np.asarray(whole.convert("RGB")).reshape(-1, 3), axis=0)) > 20


def test_figures_are_sorted_into_panels():
    more = {"loss": [1.0], "feature_loss": [2.0], "pyramid_gradient_share": [0.2]}
    assert curves._panels({"a": HISTORY, "b": more}) == {
        "training loss": ["loss", "class_loss", "feature_loss"],
        "validation": ["val_AP"],
        "share of the gradient": ["pyramid_gradient_share"],
        "learning rate": ["learning_rate"],
    }


@pytest.mark.parametrize(
    "histories",
    [
        {"one": {"loss": [1.0]}},
        {"alone": HISTORY, "distilled": HISTORY},
        {"negative": {"loss": [-1.0, 2.0]}},
        {"empty rows": {"loss": [1.0], "val_AP": [None]}},
    ],
)
def test_draws_what_runs_give(tmp_path, histories):
    assert save_curves(histories, tmp_path / "curves.png").stat().st_size > 1000


def test_is_the_same_file_twice(tmp_path):
    one = save_curves({"student": HISTORY}, tmp_path / "1.png").read_bytes()
    assert one == save_curves({"student": HISTORY}, tmp_path / "2.png").read_bytes()


@pytest.mark.parametrize("histories", [{}, {"student": {}}, {"student": {"loss": []}}])
def test_nothing_to_draw_is_an_error(tmp_path, histories):
    with pytest.raises(ValueError, match="at least one history"):
        save_curves(histories, tmp_path / "curves.png")
