from keras_hkd.progress import image_progress


def test_says_nothing_where_there_is_no_terminal(capsys):
    for shown in (True, False):
        with image_progress("Detecting", 3, shown) as advance:
            advance(2)
    streams = capsys.readouterr()
    assert streams.out == streams.err == ""


def test_shows_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with image_progress("Detecting", 3) as advance:
        advance(3)
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "Detecting" in streams.err and "3/3" in streams.err
