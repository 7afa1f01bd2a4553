from labkit import widgets


def test_a_bar_is_shown_and_goes(monkeypatch, capsys):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert list(widgets.progress(range(3))) == [0, 1, 2]
    shown = capsys.readouterr()
    assert "3/3" in shown.err or "0/3" in shown.err
    assert shown.out == ""


def test_pages_show_none(monkeypatch, capsys):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert list(widgets.progress(range(3))) == [0, 1, 2]
    assert capsys.readouterr().err == ""
