"""The screen of a machine that never was."""

import io

SIZE = (720, 400)
LINE_PX = 16
MARGIN_PX = 8
INK, PAPER = (200, 200, 200), (0, 0, 0)
LINES = (SIZE[1] - 2 * MARGIN_PX) // LINE_PX


def picture(text: bytes) -> bytes:
    """Return the last lines of a console's text as a PNG, as a text screen shows them."""
    # Pillow takes 50 ms to import, and few ever look at the picture.
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(12)
    for at, line in enumerate(text.decode("ascii", "replace").split("\n")[-LINES:]):
        draw.text((MARGIN_PX, MARGIN_PX + at * LINE_PX), line[:100], fill=INK, font=font)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
