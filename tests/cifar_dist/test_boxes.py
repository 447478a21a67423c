from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_dist.data.boxes import MEAN_BYTES, Boxes, cutout, draw_boxes, paste

edges = st.integers(0, 32)


def random_images(count: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


@st.composite
def some_boxes(draw: st.DrawFn) -> Boxes:
    one = st.tuples(edges, edges).map(sorted)
    rows, columns = (draw(st.lists(one, min_size=3, max_size=3)) for _ in range(2))
    (top, bottom), (left, right) = np.array(rows).T, np.array(columns).T
    return Boxes(top, bottom, left, right)


@settings(max_examples=60)
@given(some_boxes())
def test_cutout_and_paste_do_what_slices_do(boxes: Boxes) -> None:
    images, others = random_images(3), random_images(3, seed=1)
    blanked, pasted = images.copy(), images.copy()
    cutout(blanked, boxes)
    paste(pasted, others, boxes)
    for index in range(3):
        inside = (
            slice(boxes.top[index], boxes.bottom[index]),
            slice(boxes.left[index], boxes.right[index]),
        )
        for channel in range(3):
            images_of = images[index, channel]
            expected = images_of.copy()
            expected[inside] = MEAN_BYTES[channel]
            np.testing.assert_array_equal(blanked[index, channel], expected)
            expected = images_of.copy()
            expected[inside] = others[index, channel][inside]
            np.testing.assert_array_equal(pasted[index, channel], expected)
    np.testing.assert_array_equal(others, random_images(3, seed=1))


def test_centres_are_equally_likely_everywhere_and_the_square_is_cut_at_the_border() -> None:
    indices = np.arange(65_536)
    boxes = draw_boxes(indices, 8, seed=0, epoch=0, stream="cutout")
    assert 0 <= boxes.top.min() <= boxes.bottom.max() <= 32
    assert boxes.area.max() == 64
    assert boxes.area.min() == 16
    inner = (boxes.top > 0) & (boxes.bottom < 32) & (boxes.left > 0) & (boxes.right < 32)
    assert (boxes.area[inner] == 64).all()
    table = np.bincount(boxes.top[inner] * 32 + boxes.left[inner])
    hit = table[table > 0]
    assert len(hit) == 23 * 23
    assert abs(hit.mean() - 64) < 2


def test_squares_depend_on_seed_epoch_and_image_only() -> None:
    indices = np.arange(1000)
    whole = draw_boxes(indices, 8, seed=1, epoch=2, stream="cutout")
    part = draw_boxes(indices[[5, 900]], 8, seed=1, epoch=2, stream="cutout")
    assert part.top.tolist() == whole.top[[5, 900]].tolist()
    for other in ({"seed": 2}, {"epoch": 3}, {"stream": "cutmix"}):
        moved = draw_boxes(indices, 8, **{"seed": 1, "epoch": 2, "stream": "cutout", **other})
        assert (moved.top == whole.top).mean() < 0.4
