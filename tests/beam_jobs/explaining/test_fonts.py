import pytest
from PIL import ImageFont

from beam_jobs.explaining import fonts
from beam_jobs.explaining.fonts import font_for, shortened, width_of, wrapped


def test_lines_fit_and_hold_every_word():
    text = "a black and white dog is running through the green grass"
    lines = wrapped(text, 20, 200)
    assert " ".join(lines) == text
    assert len(lines) > 2
    assert all(width_of(line, 20) <= 200 for line in lines)
    assert wrapped(text, 20, 10_000) == (text,)
    assert wrapped("", 20, 200) == ()


def test_a_word_that_does_not_fit_is_shortened():
    assert shortened("dog", 20, 200) == "dog"
    cut = shortened("x" * 100, 20, 200)
    assert cut.endswith("xx...")
    assert width_of(cut, 20) <= 200
    assert wrapped(f"a {'x' * 100}", 20, 200) == ("a", cut)


@pytest.mark.parametrize("has_fonts", [False, True])
def test_scripts_that_pillow_s_font_lacks_are_looked_for_and_not_needed(monkeypatch, has_fonts):
    fonts._font.cache_clear()
    asked, original = [], ImageFont.truetype

    def truetype(name: object, size: int, **options: object) -> ImageFont.FreeTypeFont:
        if not isinstance(name, str):  # the bytes that Pillow brings
            return original(name, size, **options)
        asked.append(name)
        if has_fonts and name == "DejaVuSans.ttf":
            return ImageFont.load_default(size + 1)
        raise OSError(name)

    monkeypatch.setattr(ImageFont, "truetype", truetype)
    try:
        assert font_for("caf\u00e9", 20).size == 20
        assert asked == []
        assert font_for("\u72ac", 20).size == 20 + has_fonts
        assert "DejaVuSans.ttf" in asked
    finally:
        fonts._font.cache_clear()
